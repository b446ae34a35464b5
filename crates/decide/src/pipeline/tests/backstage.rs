//! What the restrictions of Backstage's callers mean to a policy that reads them as tags.

use serde_json::{Value, json};

use super::*;

const ENDPOINT: &str = "entity Endpoint = { plugin: String, permission?: String, action?: String };";

/// As the documentation of the tags has it.
const POLICY: &str = r#"
    @id("restricted")
    permit (principal is Robot, action, resource is Endpoint) when {
      principal.hasTag("*") ||
      (principal.hasTag(resource.plugin) &&
       (principal.getTag(resource.plugin).contains("permission=*") ||
        (resource has permission && principal.getTag(resource.plugin).contains(resource.permission))) &&
       (principal.getTag(resource.plugin).contains("action=*") ||
        (resource has action && principal.getTag(resource.plugin).contains(resource.action))))
    };"#;

fn endpoint(methods: &[&str], path: &str, plugin: &str, permission: &str, action: Option<&str>) -> Value {
    let mut attributes = json!({"plugin": plugin, "permission": format!("permission={permission}")});
    if let Some(action) = action {
        attributes["action"] = format!("action={action}").into();
    }
    json!({"path": path, "methods": methods, "resource": {"type": "Endpoint", "attributes": attributes}})
}

/// A caller per restriction, whose token is its name and `-0123456789abcdef`.
fn stage_of(restrictions: &[(&str, Value)]) -> Stage {
    let entries: Vec<Value> = restrictions
        .iter()
        .map(|(name, restrictions)| {
            let token = format!("{name}-0123456789abcdef");
            let mut entry = json!({"type": "static", "options": {"token": token, "subject": name}});
            if !restrictions.is_null() {
                entry["accessRestrictions"] = restrictions.clone();
            }
            entry
        })
        .collect();
    let settings: Settings = serde_json::from_value(json!({
        "backstage": {"backend": {"auth": {"externalAccess": entries}}},
        "routes": [
            endpoint(&["GET"], "/api/catalog/entities", "catalog", "catalog.entity.read", Some("read")),
            endpoint(&["POST"], "/api/catalog/entities/by-refs", "catalog", "catalog.entity.read", Some("read")),
            endpoint(&["POST"], "/api/catalog/locations", "catalog", "catalog.location.create", Some("create")),
            endpoint(&["POST"], "/api/catalog/validate-entity", "catalog", "catalog.entity.validate", None),
            {
                "path": "/api/{plugin}/{rest..}", "methods": ["GET"],
                "resource": {"type": "Endpoint", "attributes": {"plugin": "{plugin}"}},
            },
        ],
    }))
    .unwrap();
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let sources = Sources {
        schema: vec![
            file("test.cedarschema", SCHEMA),
            file("endpoint.cedarschema", ENDPOINT),
        ],
        policies: vec![file("test.cedar", POLICY)],
        ..Sources::default()
    };
    let (rules, advice) =
        Rules::compile(&settings, &sources).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(advice, []);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let records = Records::default();
    let pipeline = Pipeline::start(rules, Box::new(records.clone()), runtime.handle()).unwrap();
    Stage {
        pipeline,
        records,
        runtime,
    }
}

/// Rows B1 to B3 and B14 to B19. `permission` and `action` of the tags are sets: within one, either suffices; both must
/// fit.
#[test]
fn restrictions_are_what_policies_make_of_tags() {
    let catalog = |permission: Value, action: Value| {
        let mut restriction = json!({"plugin": "catalog"});
        if !permission.is_null() {
            restriction["permission"] = permission;
        }
        if !action.is_null() {
            restriction["permissionAttribute"] = json!({ "action": action });
        }
        json!([restriction])
    };
    let none = Value::Null;
    let stage = stage_of(&[
        ("unrestricted", Value::Null),
        ("plugin", catalog(none.clone(), none.clone())),
        ("permission", catalog("catalog.entity.read".into(), none.clone())),
        ("action", catalog(none.clone(), "read".into())),
        ("both", catalog("catalog.entity.read".into(), "create".into())),
        (
            "several",
            catalog(
                "catalog.entity.read catalog.location.create".into(),
                json!(["read", "create"]),
            ),
        ),
        ("search", json!([{"plugin": "search"}])),
    ]);
    let read = ("GET", "/api/catalog/entities");
    let by_refs = ("POST", "/api/catalog/entities/by-refs");
    let create = ("POST", "/api/catalog/locations");
    let validate = ("POST", "/api/catalog/validate-entity");
    let unchecked = ("GET", "/api/catalog/other");
    let scaffolder = ("GET", "/api/scaffolder/v2/tasks");
    for (id, caller, (method, path), permitted) in [
        ("B1", "permission", read, true),
        ("B2", "permission", scaffolder, false),
        ("B2", "plugin", scaffolder, false),
        ("B3", "unrestricted", read, true),
        ("B3", "unrestricted", scaffolder, true),
        ("plugin alone", "plugin", create, true),
        ("plugin alone", "plugin", validate, true),
        ("plugin alone", "plugin", unchecked, true),
        ("B14", "permission", create, false),
        ("B14", "permission", validate, false),
        ("B15", "action", read, true),
        ("B15 other action", "action", create, false),
        ("B15 no action", "action", validate, false),
        ("B16 permission only", "both", read, false),
        ("B16 action only", "both", create, false),
        ("both, of several", "several", read, true),
        ("both, of several", "several", create, true),
        ("B17", "unrestricted", validate, true),
        ("B18", "plugin", ("GET", "/api/catalogue/x"), false),
        ("B18", "permission", ("GET", "/api/catalo/x"), false),
        ("B18 case", "plugin", ("GET", "/api/Catalog/x"), false),
        ("a plugin named *", "plugin", ("GET", "/api/*/x"), false),
        ("B19", "action", by_refs, true),
        ("another plugin", "search", read, false),
        // Stricter than Backstage, where restrictions do not reach endpoints that ask for no permission.
        ("unchecked", "permission", unchecked, false),
        ("unchecked", "action", unchecked, false),
    ] {
        let credential = format!("Bearer {caller}-0123456789abcdef");
        let decision = stage.ask(method, path, &[("authorization", &credential)]);
        let (status, reason, caller_reads) = told(&decision);
        let expected = if permitted { 200 } else { 403 };
        assert_eq!(
            status, expected,
            "{id}: {caller} {method} {path}: {reason:?} {caller_reads}"
        );
    }
    let decision = stage.ask("GET", "/api/catalog/entities", &[]);
    assert_eq!(told(&decision).0, 401);
}

/// Who called is in the record under the name of the configuration.
#[test]
fn callers_are_robots_of_backstage() {
    let stage = stage_of(&[("ci", Value::Null)]);
    stage.ask(
        "GET",
        "/api/catalog/entities",
        &[("authorization", "Bearer ci-0123456789abcdef")],
    );
    let records = stage.records.0.lock().unwrap();
    assert_eq!(
        *records,
        ["permitted Robot::\"backstage/ci\" permitted by restricted"]
    );
}
