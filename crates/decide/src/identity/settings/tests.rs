use serde_json::{Value, json};

use super::*;
use crate::problem::Place;

fn parse(changes: Value) -> IssuerSettings {
    let mut settings =
        json!({"name": "main", "issuer": "https://id.test/realms/x", "audiences": ["portcullis"]});
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    serde_json::from_value(settings).unwrap()
}

fn check(changes: Value, expected: &[&str]) {
    let problems: Vec<String> = validate(&[parse(changes.clone())])
        .into_iter()
        .map(|problem| match problem.at {
            Place::Setting(pointer) => pointer.strip_prefix("/issuers/0/").unwrap().to_owned(),
            Place::Name(pointer) | Place::Source { file: pointer, .. } => pointer,
        })
        .collect();
    assert_eq!(problems, expected, "{changes}");
}

#[test]
fn defaults_are_safe() {
    let settings = parse(json!({}));
    assert_eq!(settings.algorithms(), Algorithm::ASYMMETRIC);
    assert_eq!(
        (settings.profile, settings.trust_roles, settings.leeway_seconds),
        (Profile::Keycloak, false, None)
    );
    let pace = (
        settings.refresh_seconds,
        settings.min_refresh_interval_seconds,
        settings.max_stale_seconds,
    );
    assert_eq!(pace, (300, 10, 3600));
    check(json!({}), &[]);
}

#[test]
fn what_cannot_work_or_is_not_safe_is_said() {
    for (changes, expected) in [
        (json!({"name": ""}), &["name"][..]),
        (json!({"name": "Main"}), &["name"]),
        (json!({"name": "a/b"}), &["name"]),
        (json!({"name": "n".repeat(64)}), &["name"]),
        (json!({"issuer": "id.test"}), &["issuer"]),
        (json!({"issuer": ""}), &["issuer"]),
        (json!({"issuer": "http://id.test"}), &["issuer"]),
        (json!({"issuer": "http://localhost.evil.test"}), &["issuer"]),
        (json!({"issuer": "http://127.0.0.1.evil.test"}), &["issuer"]),
        (json!({"issuer": "http://10.0.0.1"}), &["issuer"]),
        (json!({"issuer": "ftp://id.test"}), &["issuer"]),
        (json!({"issuer": "file:///etc/passwd"}), &["issuer"]),
        (json!({"issuer": "https://u@id.test"}), &["issuer"]),
        (json!({"issuer": "https://id.test/#x"}), &["issuer"]),
        (json!({"issuer": "https://id.test/?x"}), &["issuer"]),
        (json!({"issuer": "https://id.test/ x"}), &["issuer"]),
        (json!({"issuer": "http://localhost:8080/realms/x"}), &[]),
        (json!({"issuer": "http://127.0.0.1:8080"}), &[]),
        (json!({"issuer": "http://[::1]:8080"}), &[]),
        (json!({"jwks_uri": "https://keys.test/jwks?x=1"}), &[]),
        (json!({"jwks_uri": "http://keys.test/jwks"}), &["jwks_uri"]),
        (json!({"jwks_uri": "/jwks"}), &["jwks_uri"]),
        (json!({"audiences": []}), &["audiences"]),
        (json!({"audiences": ["x", ""]}), &["audiences"]),
        (json!({"algorithms": []}), &["algorithms"]),
        (json!({"algorithms": ["RS256", "HS256"]}), &["algorithms"]),
        (json!({"leeway_seconds": 300}), &[]),
        (json!({"leeway_seconds": 301}), &["leeway_seconds"]),
        (
            json!({"min_refresh_interval_seconds": 0}),
            &["min_refresh_interval_seconds"],
        ),
        (json!({"refresh_seconds": 5}), &["refresh_seconds"]),
        (json!({"max_stale_seconds": 300}), &["max_stale_seconds"]),
        (json!({"max_stale_seconds": u64::MAX}), &["max_stale_seconds"]),
        (
            json!({"name": "?", "audiences": [], "issuer": "x"}),
            &["name", "issuer", "audiences"],
        ),
    ] {
        check(changes, expected);
    }
}

#[test]
fn two_issuers_are_two() {
    let (a, mut b) = (parse(json!({})), parse(json!({})));
    let at = |issuers: &[IssuerSettings]| -> Vec<String> {
        validate(issuers)
            .iter()
            .map(|p| p.to_string().split(':').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        at(&[a.clone(), b.clone()]),
        ["/issuers/1/name", "/issuers/1/issuer"]
    );
    b.name = "other".to_owned();
    b.issuer.push('/');
    assert_eq!(at(&[a, b]), [""; 0]);
}

#[test]
fn mistakes_in_writing_are_errors() {
    for bad in [
        json!({"name": "a", "issuer": "https://a.test", "audiences": ["x"], "audience": "y"}),
        json!({"name": "a", "issuer": "https://a.test"}),
        json!({"name": "a", "issuer": "https://a.test", "audiences": "x"}),
        json!({"name": "a", "issuer": "https://a.test", "audiences": ["x"], "algorithms": ["none"]}),
        json!({"name": "a", "issuer": "https://a.test", "audiences": ["x"], "profile": "other"}),
    ] {
        assert!(
            serde_json::from_value::<IssuerSettings>(bad.clone()).is_err(),
            "{bad}"
        );
    }
}
