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
    let (told, hash) = (hidden.principal.clone(), hidden.hash.clone());
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
        ("user=%61l%69ce&x=1%61lice", format!("user={hash}&x=1%61lice")),
        ("a%2Falice%2f%", format!("a%2F{hash}%2f%")),
        ("alice%20b alice%42", format!("{hash}%20b alice%42")),
        ("", String::new()),
    ] {
        assert_eq!(hidden.in_text(text), expected, "{text}");
    }
    // The same for the same subject, another for each other one, issuer and key.
    assert_eq!(masks.hide("User::\"main/alice\"").unwrap().principal, told);
    for other in ["User::\"main/bob\"", "User::\"other/alice\""] {
        assert_ne!(masks.hide(other).unwrap().hash, hash, "{other}");
    }
    let others = self::masks(serde_json::json!({"subject": "hash", "hash_key": "fedcba9876543210"}));
    assert_ne!(others.hide("User::\"main/alice\"").unwrap().hash, hash);
    assert!(masks.hide("Anonymous::\"anonymous\"").is_none());
}

#[test]
fn however_a_subject_is_spelled_it_is_hidden() {
    let masks = masks(serde_json::json!({"subject": "hash", "hash_key": "0123456789abcdef"}));
    for (subject, texts) in [
        ("a\\b", &["a\\b", "a\\\\b", "a%5cb"][..]),
        ("auth0|7", &["auth0|7", "/u/auth0%7C7/x", "u=auth0%7c7"]),
        ("a@b.test", &["a@b.test", "a%40b.test", "%61%40b%2Etest"]),
        ("jo smith", &["jo smith", "q=jo+smith", "q=jo%20smith"]),
        ("jo\"s\"", &["jo\"s\"", r#"jo\"s\""#, "jo%22s%22"]),
        ("50%", &["50%", "50%25", "x/50%2F"]),
        ("jürg", &["jürg", "j%C3%BCrg", "j%c3%bcrg"]),
        ("(x)", &["a(x)b", "a%28x)b"]),
        ("\"", &["\"", "\\\""]),
    ] {
        let hidden = masks.hide(&format!("User::\"main/{subject}\"")).unwrap();
        for text in texts {
            let told = hidden.in_text(text);
            assert!(told.contains(&hidden.hash), "{subject} in {text}: {told}");
            let rest = told.replace(&hidden.hash, "");
            assert!(!rest.contains(subject) && hidden.in_text(&rest) == rest, "{told}");
        }
    }
    let hidden = masks.hide("User::\"main/Alice\"").unwrap();
    let host = format!("{}.apps.test", hidden.hash);
    assert_eq!(hidden.in_host("alice.apps.test"), host);
    // A backslash is no escape: these are two.
    let [one, other] = ["a\\u0062", "ab"].map(|id| masks.hide(&format!("User::\"main/{id}\"")).unwrap().hash);
    assert_ne!(one, other);
}

#[test]
fn texts_that_nearly_have_a_subject_everywhere_are_read_once() {
    let masks = masks(serde_json::json!({"subject": "hash", "hash_key": "0123456789abcdef"}));
    for (subject, text, there) in [
        ("a".repeat(1000), "a".repeat(8000), 0),
        (
            "a".repeat(1000),
            format!("{}/{}", "a".repeat(8000), "a".repeat(1000)),
            1,
        ),
        ("a-".repeat(500), "a-".repeat(4000), 8),
        (format!("{}b", "a-".repeat(500)), "a-".repeat(4000), 0),
        ("%".repeat(100), "%25".repeat(1000), 10),
    ] {
        let hidden = masks.hide(&format!("User::\"main/{subject}\"")).unwrap();
        let told = hidden.in_text(&text);
        assert_eq!(told.matches(&hidden.hash).count(), there, "{told}");
    }
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
