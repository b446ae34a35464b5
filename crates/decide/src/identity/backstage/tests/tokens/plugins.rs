//! Tokens of plugins that the settings list.

use super::*;

fn plugin_token(key: &'static TestKey, caller: &str, called: Value) -> Token {
    let token = token(key).head("typ", "vnd.backstage.plugin").no_claim("iss");
    token.claim("sub", caller).claim("aud", called)
}

#[test]
fn plugins_that_are_listed_may_call_those_that_are() {
    let (catalog, scaffolder) = (Origin::new(&[KEYS.a_ec.jwk()]), Origin::new(&[KEYS.b_ec.jwk()]));
    let url = |origin: &Origin| format!("{}{JWKS}", origin.url());
    let settings = json!({"backstage": {
        "backend": {"auth": {"externalAccess": [jwks_entry(&catalog, json!({"audience": "catalog"}))]}},
        "plugins": [
            {"id": "catalog", "jwks_uri": url(&catalog)},
            {"id": "scaffolder", "jwks_uri": url(&scaffolder)},
        ],
    }});
    let identity = house(settings, json!({}));
    let (a, b) = (&KEYS.a_ec, &KEYS.b_ec);
    let good = || plugin_token(b, "scaffolder", "catalog".into());
    for (id, token, expected) in [
        (
            "listed",
            good(),
            "backstage/plugin:scaffolder catalog: permission=* action=*",
        ),
        (
            "several",
            plugin_token(a, "catalog", json!(["elsewhere", "scaffolder", "catalog"])),
            "backstage/plugin:catalog scaffolder: permission=* action=*; catalog: permission=* action=*",
        ),
        (
            "not the calling plugin's, but an entry's",
            token(a).claim("aud", "catalog").claim("sub", "scaffolder"),
            "backstage/external:scaffolder *: permission=* action=*",
        ),
    ] {
        assert_eq!(ask(&identity, &token.mint()).as_deref(), Ok(expected), "{id}");
    }
    type Row = (&'static str, Token, fn(&R) -> bool);
    let rows: [Row; 13] = [
        ("not listed", plugin_token(b, "search", "catalog".into()), |r| {
            matches!(r, R::BackstagePlugin)
        }),
        (
            "letter case",
            plugin_token(b, "Scaffolder", "catalog".into()),
            |r| matches!(r, R::BackstagePlugin),
        ),
        ("no sub", good().no_claim("sub"), |r| {
            matches!(r, R::BackstagePlugin)
        }),
        (
            "called is not listed",
            plugin_token(b, "scaffolder", "search".into()),
            |r| matches!(r, R::Audience(_)),
        ),
        ("all", plugin_token(b, "scaffolder", "*".into()), |r| {
            matches!(r, R::Audience(_))
        }),
        ("no aud", good().no_claim("aud"), |r| {
            matches!(r, R::Claim { name: "aud", .. })
        }),
        ("no exp", good().no_claim("exp"), |r| {
            matches!(r, R::Claim { name: "exp", .. })
        }),
        ("no iat", good().no_claim("iat"), |r| {
            matches!(r, R::Claim { name: "iat", .. })
        }),
        ("expired", good().claim("exp", NOW - 30), |r| {
            matches!(r, R::Expired { .. })
        }),
        ("for a user", good().claim("obo", "eyJ"), |r| {
            matches!(r, R::BackstageOnBehalf)
        }),
        ("actor", good().claim("act", json!({"sub": "x"})), |r| {
            matches!(r, R::BackstageOnBehalf)
        }),
        ("bound", good().claim("cnf", json!({})), |r| {
            matches!(r, R::SenderConstrained)
        }),
        // Its keys are those of another plugin.
        ("forged", plugin_token(a, "scaffolder", "catalog".into()), |r| {
            matches!(r, R::UnknownKey { .. })
        }),
    ];
    for (id, token, expected) in rows {
        let refusal = ask(&identity, &token.mint()).expect_err(id);
        assert!(expected(&refusal), "{id}: {refusal:?}");
    }
    let names: Vec<String> = identity.status().into_iter().map(|status| status.name).collect();
    assert_eq!(
        names,
        [
            "backstage/externalAccess/0",
            "backstage/plugins/0",
            "backstage/plugins/1"
        ]
    );
}

#[test]
fn what_is_wrong_with_the_list_is_said() {
    let url = "https://backstage.test/jwks";
    for (plugins, expected) in [
        (
            json!([{"id": "a", "jwks_uri": url}, {"id": "b_-1", "jwks_uri": url}]),
            &[][..],
        ),
        (
            json!([{"id": "*", "jwks_uri": url}, {"id": "", "jwks_uri": url}]),
            &["0/id", "1/id"],
        ),
        (
            json!([{"id": "a", "jwks_uri": url}, {"id": "A", "jwks_uri": url}]),
            &["1/id"],
        ),
        (
            json!([{"id": "a", "jwks_uri": "http://backstage.test"}]),
            &["0/jwks_uri"],
        ),
        (
            json!([{"id": "a", "jwks_uri": url}, {"id": "taken", "jwks_uri": url}]),
            &["1/id"],
        ),
    ] {
        let taken = fixed(json!({"token": TOKEN, "subject": "plugin:taken"}));
        let backend = json!({"auth": {"externalAccess": [taken]}});
        let settings = serde_json::from_value(json!({"backend": backend, "plugins": plugins})).unwrap();
        let found: Vec<String> = validate(&settings)
            .into_iter()
            .map(|problem| match problem.at {
                Place::Setting(pointer) => pointer.strip_prefix("/backstage/plugins/").unwrap().to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, expected, "{plugins}");
    }
}
