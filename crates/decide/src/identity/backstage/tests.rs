//! Backstage's configuration: what is read of it, and what is wrong with it in whose words.

use serde_json::{Value, json};

use super::*;
use crate::identity::{IdentitySettings, validate as validate_all};
use crate::problem::{Place, Severity};

mod tokens;

/// 24 bytes, as Backstage's documentation generates them.
const SECRET_24: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAI";
/// 32 bytes, in base64url with padding.
const SECRET_32: &str = "_-7dzLuqmYh3ZlVEMyIRAP_u3cy7qpmId2ZVRDMiEQA=";
const TOKEN: &str = "limited-static-token";

fn pasted(auth: Value) -> BackstageSettings {
    serde_json::from_value(json!({"backend": {"auth": auth, "baseUrl": "http://localhost:7007"}})).unwrap()
}

fn external(entries: Value) -> BackstageSettings {
    pasted(json!({ "externalAccess": entries }))
}

fn fixed(options: Value) -> Value {
    json!({"type": "static", "options": options})
}

fn jwks(changes: Value) -> Value {
    let mut options = json!({"url": "https://id.test/jwks.json", "audience": "backstage"});
    for (name, value) in changes.as_object().unwrap() {
        options[name] = value.clone();
    }
    json!({"type": "jwks", "options": options})
}

fn restricted(restrictions: Value) -> Value {
    json!({"type": "static", "options": {"token": TOKEN, "subject": "ci"}, "accessRestrictions": restrictions})
}

/// Problems as `×` or `☞`, pointer below `backend/auth`, and message.
fn problems(settings: &BackstageSettings) -> Vec<String> {
    let told = |problem: Problem| {
        let (Place::Setting(pointer) | Place::Name(pointer)) = &problem.at else {
            panic!("{problem:?}");
        };
        let mark = match problem.severity {
            Severity::Error => '×',
            Severity::Advice => '☞',
        };
        let pointer = pointer.replace("/backstage/backend/auth/", "");
        let pointer = pointer.replace("externalAccess/", "");
        format!("{mark} {pointer}: {}", problem.message)
    };
    validate(settings).into_iter().map(told).collect()
}

/// Row B13 and the other texts of Backstage itself.
#[test]
fn what_backstage_refuses_is_refused_in_its_words() {
    let catalog = || json!({"plugin": "catalog"});
    for (entry, expected) in [
        (
            restricted(json!([{"plugin": "catalog", "permissions": "x"}])),
            "× 0/accessRestrictions/0/permissions: Invalid key 'permissions' in 'accessRestrictions' config, expected one \
             of 'plugin', 'permission', 'permissionAttribute'",
        ),
        (
            restricted(json!([catalog(), {"plugin": "search"}, catalog()])),
            "× 0/accessRestrictions/2/plugin: Attempted to declare 'accessRestrictions' twice for plugin 'catalog', which \
             is not permitted",
        ),
        (
            restricted(json!([{"plugin": "catalog", "permissionAttribute": {"actions": "read"}}])),
            "× 0/accessRestrictions/0/permissionAttribute/actions: Invalid key 'actions' in 'permissionAttribute' config, \
             expected 'action'",
        ),
        (
            restricted(json!([{"plugin": "catalog", "permissionAttribute": {"action": "read,write"}}])),
            "× 0/accessRestrictions/0/permissionAttribute/action: Invalid value 'write' at 'action' in \
             'permissionAttributes' config, valid values are 'create', 'read', 'update', 'delete'",
        ),
        (
            json!({"type": "mtls", "options": {}}),
            "× 0/type: Unknown type 'mtls' in backend.auth.externalAccess, expected one of 'static', 'legacy', 'jwks'",
        ),
        (
            fixed(json!({"token": "two words", "subject": "ci"})),
            "× 0/options/token: Illegal token, must be a set of non-space characters",
        ),
        (
            fixed(json!({"token": "", "subject": "ci"})),
            "× 0/options/token: Illegal token, must be a set of non-space characters",
        ),
        // B4
        (
            fixed(json!({"token": "1234567", "subject": "ci"})),
            "× 0/options/token: Illegal token, must be at least 8 characters length",
        ),
        (
            fixed(json!({"token": TOKEN, "subject": "c i"})),
            "× 0/options/subject: Illegal subject, must be a set of non-space characters",
        ),
        (
            json!({"type": "legacy", "options": {"secret": "no base 64!", "subject": "x"}}),
            "× 0/options/secret: Illegal secret, must be a valid base64 string",
        ),
        (
            json!({"type": "legacy", "options": {"secret": "b$d+b$d+", "subject": "x"}}),
            "× 0/options/secret: Illegal secret, must be a valid base64 string",
        ),
        (
            jwks(json!({"url": "https://exampl e.com/jwks"})),
            "× 0/options/url: Illegal JWKS URL, must be a set of non-space characters",
        ),
        (
            jwks(json!({"url": "https://example.com/jwks\n"})),
            "× 0/options/url: Illegal JWKS URL, must be a set of non-space characters",
        ),
        (
            jwks(json!({"claims": {"team/a": []}})),
            "× 0/options/claims/team~1a: Invalid value for 'claims.team/a' in JWKS external access config, expected a \
             non-empty string, number, boolean, or array of those",
        ),
    ] {
        assert_eq!(problems(&external(json!([entry]))), [expected], "{entry}");
    }
    let one = || fixed(json!({"token": TOKEN, "subject": "ci"}));
    assert_eq!(
        problems(&external(json!([one(), one()]))),
        ["× 1/options/token: Static externalAccess token was declared more than once"]
    );
    let old = pasted(json!({"keys": [{"secret": ""}]}));
    assert_eq!(
        problems(&old)[1..],
        ["× keys/0/secret: Illegal secret, must be a valid base64 string"]
    );
}

#[test]
fn what_we_demand_beyond_is_said_in_ours() {
    let legacy = |secret: &str| json!({"type": "legacy", "options": {"secret": secret, "subject": "x"}});
    for (entry, expected) in [
        (
            restricted(json!([])),
            "× 0/accessRestrictions: `accessRestrictions` is empty, which Backstage takes for no limit",
        ),
        (
            restricted(json!(null)),
            "× 0/accessRestrictions: `accessRestrictions` must be a list",
        ),
        (
            restricted(json!(["catalog"])),
            "× 0/accessRestrictions/0: `accessRestrictions` must be a list of groups",
        ),
        (
            restricted(json!([{"permission": "x"}])),
            "× 0/accessRestrictions/0: `plugin` is missing",
        ),
        (
            restricted(json!([{"plugin": "*"}])),
            "× 0/accessRestrictions/0/plugin: '*' is no plugin id",
        ),
        (
            restricted(json!([{"plugin": "a", "permission": "b *"}])),
            "× 0/accessRestrictions/0/permission: '*' is no name of a permission",
        ),
        (
            restricted(json!([{"plugin": "a", "permission": [" ,"]}])),
            "× 0/accessRestrictions/0/permission: `permission` is empty",
        ),
        (
            restricted(json!([{"plugin": "a", "permission": null}])),
            "× 0/accessRestrictions/0/permission: `permission` must be text or a list of texts",
        ),
        (
            restricted(json!([{"plugin": "a", "permissionAttribute": {}}])),
            "× 0/accessRestrictions/0/permissionAttribute: `permissionAttribute` is empty",
        ),
        (json!({"options": {}}), "× 0: `type` is missing"),
        (json!({"type": "static"}), "× 0: `options` is missing"),
        (
            json!({"type": "static", "options": {"token": TOKEN, "subject": "ci"}, "accessRestriction": []}),
            "× 0/accessRestriction: there is no setting `accessRestriction` here",
        ),
        (
            fixed(json!({"token": TOKEN})),
            "× 0/options: `subject` is missing",
        ),
        (
            fixed(json!({"token": 12_345_678, "subject": "ci"})),
            "× 0/options/token: `token` must be text",
        ),
        (
            fixed(json!({"token": "ümläute-und-mehr", "subject": "ci"})),
            "× 0/options/token: the token has a character",
        ),
        (
            fixed(json!({"token": TOKEN, "subject": "a\u{7}"})),
            "× 0/options/subject: the subject cannot be",
        ),
        (
            fixed(json!({"token": "123456789012345", "subject": "ci"})),
            "☞ 0/options/token: the token has less than 16",
        ),
        (
            legacy("AAAAAAAAAAAAAAAAAAAA"),
            "× 0/options/secret: the secret has only 15 bytes",
        ),
        (
            legacy(SECRET_24),
            "☞ 0/options/secret: the secret has only 24 bytes; HS256 wants 32",
        ),
        (
            jwks(json!({"url": "http://id.test/jwks"})),
            "× 0/options/url: the URL is plain http",
        ),
        (
            jwks(json!({"algorithm": "RS256, HS256"})),
            "× 0/options/algorithm: the algorithm 'HS256' is not supported",
        ),
        (
            jwks(json!({"algorithm": ["none"]})),
            "× 0/options/algorithm: the algorithm 'none' is not supported",
        ),
        (
            jwks(json!({"issuer": ""})),
            "× 0/options/issuer: `issuer` is empty",
        ),
        (
            jwks(json!({"audience": []})),
            "× 0/options/audience: `audience` is empty",
        ),
        (
            jwks(json!({"audience": null})),
            "× 0/options/audience: `audience` must be text or a list of texts",
        ),
        (
            jwks(json!({"audiences": "x"})),
            "× 0/options/audiences: there is no setting `audiences` here",
        ),
        (
            jwks(json!({"subjectPrefix": "a b"})),
            "× 0/options/subjectPrefix: the subject cannot be",
        ),
        (
            jwks(json!({"claims": {}})),
            "× 0/options/claims: `claims` is empty",
        ),
        (
            json!({"type": "jwks", "options": {"url": "https://id.test/jwks"}}),
            "☞ 0/options: the tokens of this entry may be for anybody",
        ),
    ] {
        let found = problems(&external(json!([entry])));
        let one = matches!(found.as_slice(), [one] if one.starts_with(expected));
        assert!(one, "{entry}\nexpected {expected}\ngot {found:#?}");
    }
    let help = validate(&external(json!([jwks(json!({"algorithm": "RS512"}))])));
    assert_eq!(help[0].help, "supported are RS256, PS256, ES256, ES384, EdDSA");
}

#[test]
fn every_problem_is_found_at_once() {
    let found = problems(&pasted(json!({
        "keys": [{"secret": "!"}],
        "externalAccess": [
            {"type": "x", "options": {}, "accessRestrictions": [{"plugin": "a", "x": 1}, {"permission": 1}]},
            fixed(json!({"token": "", "subject": ""})),
        ],
    })));
    assert_eq!(
        found.iter().filter(|told| told.starts_with('×')).count(),
        7,
        "{found:#?}"
    );
}

#[test]
fn what_backstage_takes_is_taken() {
    for auth in [
        json!({}),
        json!({"externalAccess": [], "keys": [], "dangerouslyDisableDefaultAuthPolicy": true}),
        json!({"externalAccess": [
            fixed(json!({"token": TOKEN, "subject": "ci"})),
            {"type": "legacy", "options": {"secret": SECRET_32, "subject": "legacy-caller"}},
            {"type": "legacy", "options": {"secret": SECRET_32.trim_end_matches('='), "subject": "external:other"}},
            jwks(json!({
                "issuer": ["https://a.test", "https://b.test"], "audience": "a, b", "algorithm": "RS256 ES256",
                "subjectPrefix": "p", "claims": {"repository": "org/repo", "attempt": [1, true], "https://x.test/y": "z"}
            })),
        ]}),
    ] {
        assert_eq!(problems(&pasted(auth.clone())), [""; 0], "{auth}");
    }
    // B23
    assert_eq!(
        problems(&pasted(json!({"keys": [{"secret": SECRET_32}]}))),
        [
            "☞ keys: `backend.auth.keys` is deprecated in Backstage; its callers are \
          `external:backstage-plugin`"
        ]
    );
}

#[test]
fn restrictions_become_tags() {
    for (restrictions, expected) in [
        (json!([{"plugin": "catalog"}]), "catalog: permission=* action=*"),
        (
            json!([{"plugin": "catalog", "permission": "catalog.entity.read"}]),
            "catalog: permission=catalog.entity.read action=*",
        ),
        (
            json!([{"plugin": "a", "permission": ["x y", "y,z"], "permissionAttribute": {"action": "read, delete read"}}]),
            "a: permission=x permission=y permission=z action=read action=delete",
        ),
        (
            json!([{"plugin": "a", "permissionAttribute": {"action": ["create"]}}, {"plugin": "b_B-1"}]),
            "a: permission=* action=create; b_B-1: permission=* action=*",
        ),
    ] {
        let (entries, faults) = entries::read(&external(json!([restricted(restrictions.clone())])));
        assert_eq!(faults.0, [], "{restrictions}");
        assert_eq!(shown(&entries[0].tags), expected, "{restrictions}");
    }
    let (entries, _) = entries::read(&pasted(json!({"keys": [{"secret": SECRET_32}]})));
    assert_eq!(shown(&entries[0].tags), "*: permission=* action=*");
}

fn shown(tags: &[(String, Vec<String>)]) -> String {
    let tags = tags
        .iter()
        .map(|(plugin, set)| format!("{plugin}: {}", set.join(" ")));
    tags.collect::<Vec<_>>().join("; ")
}

#[test]
fn two_entries_must_not_make_the_same_ids() {
    let entry = |url: &str, prefix: Value| {
        let mut entry = jwks(json!({"url": format!("https://{url}.test/jwks"), "issuer": "https://a.test"}));
        if !prefix.is_null() {
            entry["options"]["subjectPrefix"] = prefix;
        }
        entry
    };
    let shared = "× 1/options: callers of this entry may have the ids of those of another one";
    for (one, other, expected) in [
        (entry("a", json!(null)), entry("b", json!(null)), &[shared][..]),
        (entry("a", json!("p")), entry("b", json!("p")), &[shared]),
        (entry("a", json!(null)), entry("b", json!("p")), &[shared]),
        (entry("a", json!("p")), entry("b", json!("p:q")), &[shared]),
        (entry("a", json!("p")), entry("b", json!("q")), &[]),
        (entry("a", json!("p")), entry("b", json!("pq")), &[]),
        (entry("a", json!(null)), entry("a", json!(null)), &[]),
        (entry("a", json!(null)), entry("A", json!(null)), &[]),
    ] {
        let found = problems(&external(json!([one, other])));
        assert_eq!(found, expected, "{one} {other}");
    }
}

/// Tokens of the entries behind it wait for its keys.
#[test]
fn an_entry_for_any_issuer_before_others_gets_an_advice() {
    let entry = |url: &str, issuer: Value| {
        let prefix = format!("{url}{}", issuer.as_str().map_or("", |_| "-i"));
        let mut entry = jwks(json!({"url": format!("https://{url}.test/jwks"), "subjectPrefix": prefix}));
        if !issuer.is_null() {
            entry["options"]["issuer"] = issuer;
        }
        entry
    };
    let (any, named) = (json!(null), json!("https://a.test"));
    let fixed = || fixed(json!({"token": TOKEN, "subject": "ci"}));
    for (list, expected) in [
        (
            json!([entry("a", any.clone()), entry("b", named.clone())]),
            Some(0),
        ),
        (
            json!([entry("a", any.clone()), fixed(), entry("b", any.clone())]),
            Some(0),
        ),
        (
            json!([
                entry("a", named.clone()),
                entry("b", any.clone()),
                entry("c", any.clone())
            ]),
            Some(1),
        ),
        (json!([entry("a", named.clone()), entry("b", any.clone())]), None),
        (json!([entry("a", any.clone()), fixed()]), None),
        (json!([entry("a", any.clone()), entry("a", any.clone())]), None),
    ] {
        let advice = expected
            .map(|at| format!("☞ {at}/options: tokens of the entries behind this one wait for its keys"));
        let advice: Vec<String> = advice.into_iter().collect();
        assert_eq!(problems(&external(list.clone())), advice, "{list}");
    }
}

#[test]
fn the_name_must_be_its_own() {
    let at = |changes: Value| {
        let mut settings = json!({"backstage": {"backend": {}}});
        for (name, value) in changes.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let settings: IdentitySettings = serde_json::from_value(settings).unwrap();
        assert!(
            settings
                .names()
                .contains(&settings.backstage.as_ref().unwrap().name.as_str())
        );
        let problems = validate_all(&settings).into_iter();
        problems.map(|problem| problem.at).collect::<Vec<_>>()
    };
    let name = |pointer: &str| vec![Place::Setting(pointer.to_owned())];
    assert_eq!(at(json!({})), []);
    assert_eq!(
        at(json!({"backstage": {"name": "Back Stage", "backend": {}}})),
        name("/backstage/name")
    );
    let issuer = json!([{"name": "backstage", "issuer": "https://a.test", "audiences": ["x"]}]);
    assert_eq!(at(json!({ "issuers": issuer })), name("/backstage/name"));
    let endpoint = json!([{
        "name": "backstage", "url": "https://a.test", "client_id": "c", "client_secret": "s", "audiences": ["x"]
    }]);
    assert_eq!(
        at(json!({ "introspection": endpoint })),
        name("/introspection/0/name")
    );
}

/// Nor is a secret under a wrong name, or a password beside `auth`.
#[test]
fn nothing_secret_is_printed() {
    let settings: BackstageSettings = serde_json::from_value(json!({"backend": {
        "database": {"password": "s3cret-0"},
        "auth": {
            "keys": [{"secret": "s3cret-1"}, {"secrets": ["s3cret-2"]}],
            "externalAccess": [
                {"type": "static", "options": {"token": "s3cret-3", "subject": "shown-1"}, "token": "s3cret-4"},
                {"type": "legacy", "options": {"secret": "s3cret-5", "pass": {"subject": "s3cret-6"}}, "options2": "s3cret-7"},
                {"type": "jwks", "options": {"url": "shown-2"}, "accessRestrictions": [{"plugin": "shown-3"}]},
            ],
        },
    }}))
    .unwrap();
    let (_, faults) = entries::read(&settings);
    let printed = format!("{settings:?} {faults:?}");
    assert!(!printed.contains("s3cret"), "{printed}");
    for shown in ["shown-1", "shown-2", "shown-3", "REDACTED"] {
        assert!(printed.contains(shown), "{shown}: {printed}");
    }
}
