use super::super::settings::DecisionLogSettings;
use super::*;

fn masks(settings: serde_json::Value) -> Masks {
    let settings: DecisionLogSettings = serde_json::from_value(settings).unwrap();
    Masks::of(&settings.more)
}

#[test]
fn a_subject_is_hidden_wherever_it_stands_as_a_word() {
    let masks = masks(serde_json::json!({"subject": "hash", "hash_key": "0123456789abcdef"}));
    let hidden = masks.hide("User::\"main/alice\"").unwrap();
    let (told, hash) = (hidden.principal.clone(), hidden.texts[2].1.clone());
    assert_eq!(hash.len(), 32);
    assert_eq!(told, format!("User::\"main/{hash}\""));
    for (text, expected) in [
        ("no policy permits this", "no policy permits this".to_owned()),
        (
            "no policy permits this to User::\"main/alice\"",
            format!("no policy permits this to {told}"),
        ),
        ("main/alice and malice", format!("main/{hash} and malice")),
        (
            "/workspaces/ws-alice/alice2",
            format!("/workspaces/ws-{hash}/alice2"),
        ),
        ("alice", hash.clone()),
        ("alice alice", format!("{hash} {hash}")),
        ("", String::new()),
    ] {
        assert_eq!(hidden.in_text(text), expected, "{text}");
    }
    // The same for the same subject, another for each other one, issuer and key.
    assert_eq!(masks.hide("User::\"main/alice\"").unwrap().principal, told);
    for other in ["User::\"main/bob\"", "User::\"other/alice\""] {
        assert_ne!(masks.hide(other).unwrap().texts[2].1, hash, "{other}");
    }
    let others = self::masks(serde_json::json!({"subject": "hash", "hash_key": "fedcba9876543210"}));
    assert_ne!(others.hide("User::\"main/alice\"").unwrap().texts[2].1, hash);
    assert!(masks.hide("Anonymous::\"anonymous\"").is_none());
}

#[test]
fn nothing_is_hidden_that_need_not_be() {
    let masks = masks(serde_json::json!("stdout"));
    assert!(masks.hide("User::\"main/alice\"").is_none());
    assert_eq!(masks.address("192.0.2.7").as_deref(), Some("192.0.2.7"));
}

#[test]
fn addresses_become_networks_or_nothing() {
    for (setting, address, expected) in [
        ("network", "192.0.2.7", Some("192.0.2.0/24")),
        ("network", "2001:db8:1:2::3", Some("2001:db8:1::/48")),
        ("network", "nonsense", None),
        ("drop", "192.0.2.7", None),
        ("keep", "2001:db8::1", Some("2001:db8::1")),
    ] {
        let masks = masks(serde_json::json!({"client_ip": setting}));
        assert_eq!(masks.address(address).as_deref(), expected, "{setting} {address}");
    }
}
