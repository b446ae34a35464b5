use serde_json::{Value, json};

use super::*;
use crate::problem::Place as At;

const TOKEN: &str = "aZ9-static/token+value=";

fn settings(tokens: Value) -> StaticTokenSettings {
    serde_json::from_value(json!({"tokens": tokens})).unwrap()
}

/// The catalogue's rows `st-*`; the transport refuses what has blanks, NUL or nothing before this is asked.
#[test]
fn only_the_exact_value_is_known() {
    let (tokens, proofs) = StaticTokens::new(&settings(json!([
        {"token": "another-token-that-is-long", "subject": "other"},
        {"token": TOKEN, "subject": "ci", "groups": ["builders"], "roles": {"ws": ["r"]}, "scopes": ["s"]},
    ])));
    let find = |presented: &str| tokens.find(&Digest::of(presented));
    let swapped: String = TOKEN
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    for (id, presented, expected) in [
        ("st-ok", TOKEN.to_owned(), Some(1)),
        ("st-case", swapped, None),
        ("st-suffix", format!("{TOKEN}x"), None),
        ("st-first", TOKEN[..1].to_owned(), None),
        ("st-nul", format!("{TOKEN}\0junk"), None),
        ("st-space", TOKEN.replacen('-', " ", 1), None),
        ("st-urlenc", TOKEN.replacen('a', "%61", 1), None),
        ("st-b64", crate::identity::testing::b64(TOKEN), None),
        ("st-empty", String::new(), None),
    ] {
        assert_eq!(find(&presented), expected, "{id}");
    }
    let ci = &proofs[1].principal;
    assert_eq!((ci.kind, ci.id.as_str()), (PrincipalKind::Robot, "static/ci"));
    assert_eq!(ci.groups, ["builders"]);
    assert_eq!(ci.roles, [("ws".to_owned(), vec!["r".to_owned()])]);
    assert_eq!(ci.scopes, ["s"]);
}

#[test]
fn a_digest_is_as_good_as_the_token() {
    // printf %s "$TOKEN" | sha256sum
    let hex: String = Digest::of(TOKEN)
        .as_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    for hex in [hex.clone(), hex.to_uppercase()] {
        let (tokens, _) = StaticTokens::new(&settings(json!([{"sha256": hex, "subject": "ci"}])));
        assert_eq!(tokens.find(&Digest::of(TOKEN)), Some(0));
        assert_eq!(tokens.find(&Digest::of(&hex)), None);
    }
}

#[test]
fn what_cannot_work_or_is_not_safe_is_said() {
    let good = |subject: &str| json!({"token": format!("{subject}-0123456789abcdef"), "subject": subject});
    for (tokens, expected) in [
        (json!([good("a"), good("b")]), &[][..]),
        (json!([{"token": "", "subject": "ci"}]), &["tokens/0/token"]),
        (json!([{"token": "short", "subject": "ci"}]), &["tokens/0/token"]),
        (
            json!([{"token": "with a blank in the middle", "subject": "ci"}]),
            &["tokens/0/token"],
        ),
        (json!([{"subject": "ci"}]), &["tokens/0"]),
        (
            json!([{"subject": "ci", "token": "0123456789abcdef", "sha256": "00"}]),
            &["tokens/0"],
        ),
        (json!([{"subject": "ci", "sha256": "00"}]), &["tokens/0/sha256"]),
        (
            json!([{"subject": "ci", "sha256": "zz".repeat(32)}]),
            &["tokens/0/sha256"],
        ),
        (
            json!([good("a"), {"token": "a-0123456789abcdef", "subject": "b"}]),
            &["tokens/1"],
        ),
        (
            json!([good("a"), {"token": "0123456789abcdef", "subject": "a"}]),
            &["tokens/1/subject"],
        ),
        (
            json!([{"token": "0123456789abcdef", "subject": ""}]),
            &["tokens/0/subject"],
        ),
        (
            json!([{"token": "0123456789abcdef", "subject": " a"}]),
            &["tokens/0/subject"],
        ),
        (
            json!([{"token": "0123456789abcdef", "subject": "a", "type": "Client", "groups": ["g"]}]),
            &["tokens/0/type"],
        ),
    ] {
        let problems: Vec<String> = validate(&settings(tokens.clone()))
            .into_iter()
            .map(|problem| match problem.at {
                At::Setting(pointer) => pointer.strip_prefix("/static_tokens/").unwrap().to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(problems, expected, "{tokens}");
    }
}

/// No token, whole or in part, is in what is printed.
#[test]
fn settings_do_not_give_the_token_away() {
    let settings = settings(json!([{"token": TOKEN, "subject": "ci"}]));
    let (tokens, proofs) = StaticTokens::new(&settings);
    let shown = format!("{settings:?} {tokens:?} {proofs:?}");
    assert!(shown.contains("ci") && !shown.contains("static/token"), "{shown}");
}
