//! Forbids that look at what some route does not show: there they could never apply, and nobody would notice.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy, PolicyId, RequestEnv, Schema, Template};
use serde_json::Value;

use super::{Loaded, Origin, Sources};
use crate::problem::Problem;
use crate::routes::RouteSettings;
use crate::settings::{Expose, Settings};

/// The parts of `context` of which routes can show less than others, with what is shown of them. What is shown of
/// `context.metadata` is the same everywhere.
type Part = (&'static str, fn(&Expose) -> &Vec<String>);
const PARTS: [Part; 4] = [
    ("headers", |expose| &expose.headers),
    ("query", |expose| &expose.query),
    ("extensions", |expose| &expose.extensions),
    ("body", |expose| &expose.body),
];

/// What an expression looks at: a part and a name in it; all of the part without a name, everything without a part.
type Mention = (Option<String>, Option<String>);

/// A route, as far as it matters here.
struct Seen<'s> {
    at: String,
    actions: BTreeSet<String>,
    resource: &'s str,
    expose: Expose,
}

/// Says which forbids cannot see what they forbid.
pub(super) fn check(
    schema: &Schema,
    loaded: &Loaded,
    settings: &Settings,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    let routes: Vec<Seen<'_>> = settings
        .routes
        .iter()
        .map(|route| Seen::of(route, &settings.expose))
        .collect();
    let mut exposed = settings.expose.clone();
    for route in &routes {
        exposed.add(&route.expose);
    }
    let is_shown = |route: &Seen<'_>| {
        PARTS
            .iter()
            .all(|(_, of)| of(&exposed).iter().all(|name| of(&route.expose).contains(name)))
    };
    if routes.iter().all(is_shown) {
        return;
    }
    let mut forbids: Vec<&Origin> = loaded
        .policies
        .values()
        .chain(loaded.templates.values())
        .collect();
    forbids.retain(|origin| origin.known.effect == Effect::Forbid);
    forbids.sort_by_key(|origin| (origin.file, origin.span));
    for origin in forbids {
        let Some(file) = origin.file.and_then(|file| sources.policies.get(file)) else {
            continue;
        };
        let form = form_of(loaded, origin);
        let mut mentions = BTreeSet::new();
        match &form {
            Some(form) => collect(form.get("conditions").unwrap_or(&Value::Null), &mut mentions),
            None => mentions.extend([(None, None)]),
        }
        if mentions.is_empty() {
            continue;
        }
        let scope = in_scope(schema, form.as_ref());
        let asked: Vec<&Seen<'_>> = routes
            .iter()
            .filter(|route| scope.iter().any(|kind| route.asks(kind)))
            .collect();
        for (part, of) in PARTS {
            for name in of(&exposed)
                .iter()
                .filter(|name| is_mentioned(&mentions, part, name))
            {
                let mut blind = asked.iter().filter(|route| !of(&route.expose).contains(name));
                let Some(route) = blind.next() else {
                    continue;
                };
                let others = match blind.count() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                problems.push(Problem::source(
                    &file.name,
                    origin.span,
                    format!(
                        "the forbid `{}` looks at `{name}` in context.{part}, and the route {}{others} does not show it",
                        origin.known.name, route.at
                    ),
                    "a forbid that cannot see what it forbids is an open door: expose it on the route too, or narrow the \
                     forbid's scope (`action in`, `resource is`)",
                ));
            }
        }
    }
}

impl<'s> Seen<'s> {
    fn of(route: &'s RouteSettings, global: &Expose) -> Self {
        let mut actions: BTreeSet<String> = match &route.action {
            Some(action) => BTreeSet::from([action.clone()]),
            None => route.methods.iter().cloned().collect(),
        };
        actions.extend(route.destination_actions().map(|(_, name)| name));
        Self {
            at: format!("{}{}", route.hosts.join(","), route.path),
            actions,
            resource: &route.resource.kind,
            expose: (route.expose.as_ref()).map_or_else(|| global.clone(), |expose| expose.over(global)),
        }
    }

    /// Whether it asks questions of this kind.
    fn asks(&self, (action, resource): &(String, String)) -> bool {
        self.resource == resource && (self.actions.contains(action) || action == super::CORS_PREFLIGHT)
    }
}

/// The JSON form of a policy or template.
fn form_of(loaded: &Loaded, origin: &Origin) -> Option<Value> {
    let id = PolicyId::new(&origin.known.name);
    let policy = loaded.set.policy(&id).map(Policy::to_json);
    let form = policy.or_else(|| loaded.set.template(&id).map(Template::to_json))?;
    form.ok()
}

/// The actions and types of resources that its scope lets it be about. Not its conditions: where nothing is shown, one that
/// looks at it is always false.
fn in_scope(schema: &Schema, form: Option<&Value>) -> BTreeSet<(String, String)> {
    let kinds = |env: RequestEnv| {
        let action = env.action().id().unescaped().to_owned();
        (action, env.resource().to_string())
    };
    let mut scope = form.cloned().unwrap_or_default();
    if let Some(members) = scope.as_object_mut() {
        members.insert("conditions".to_owned(), Value::Array(Vec::new()));
        members.remove("annotations");
    }
    if let Ok(policy) = Policy::from_json(None, scope.clone()) {
        return policy.get_valid_request_envs(schema).map(kinds).collect();
    }
    if let Ok(template) = Template::from_json(None, scope) {
        return template.get_valid_request_envs(schema).map(kinds).collect();
    }
    schema.request_envs().map(kinds).collect()
}

fn is_mentioned(mentions: &BTreeSet<Mention>, part: &str, name: &str) -> bool {
    mentions
        .iter()
        .any(|(a, b)| a.as_deref().is_none_or(|a| a == part) && b.as_deref().is_none_or(|b| b == name))
}

/// Collects what an expression mentions; the forms are those of `policy::context`.
fn collect(json: &Value, mentions: &mut BTreeSet<Mention>) {
    match json {
        Value::Object(members) => {
            if let Some(path) = path_of(json) {
                let mut parts = path.into_iter();
                let mention = (parts.next(), parts.next());
                // That a part is there says nothing of what is in it, unless more of it is looked at.
                if !(members.contains_key("has") && mention.1.is_none()) {
                    mentions.insert(mention);
                }
                return;
            }
            members.values().for_each(|value| collect(value, mentions));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, mentions)),
        _ => {}
    }
}

/// The names behind `context`, if the expression is nothing but these.
fn path_of(json: &Value) -> Option<Vec<String>> {
    if json.get("Var").is_some_and(|name| name == "context") {
        return Some(Vec::new());
    }
    let access = json.get(".").or_else(|| json.get("has"))?;
    let mut path = path_of(access.get("left")?)?;
    match access.get("attr")? {
        Value::String(name) => path.push(name.clone()),
        Value::Array(names) => path.extend(names.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => return None,
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_condition_looks_at_is_found() {
        for (condition, expected) in [
            ("context.host == \"a\"", &["host"][..]),
            ("context.headers has \"x-a\"", &["headers x-a"]),
            ("context has headers.page", &["headers page"]),
            ("context has headers", &[]),
            ("context.body.name like \"a*\"", &["body name"]),
            ("{a: context.query} == {a: context.query}", &["query"]),
            ("{a: context} == {a: context}", &[""]),
            ("principal.name == \"context\"", &[]),
        ] {
            let policy = format!("forbid(principal, action, resource) when {{ {condition} }};");
            let policy: cedar_policy::Policy = policy.parse().unwrap();
            let mut mentions = BTreeSet::new();
            collect(&policy.to_json().unwrap(), &mut mentions);
            let words = |(a, b): &Mention| {
                let parts: Vec<&str> = a.iter().chain(b).map(String::as_str).collect();
                parts.join(" ")
            };
            assert_eq!(
                mentions.iter().map(words).collect::<Vec<_>>(),
                expected,
                "{condition}"
            );
        }
    }
}
