//! Tokens and header bytes at the edge of what may be sent.

use portcullis::demo::people;
use serde_json::Value;

use super::{HEADER_FORMS, counted, front, raw, record_of, token};
use crate::house::TestHouse;

/// The longest token that is looked at, in bytes.
const LIMIT: usize = 16 * 1024;

/// Alice's token, as long as it can get below this length by padding one claim.
fn long_token(house: &TestHouse, at_most: usize) -> String {
    let mint = |padding: usize| {
        let mut claims = people::alice_claims();
        claims["padding"] = Value::from("p".repeat(padding));
        house.issuer.token(claims)
    };
    // Four characters for three bytes.
    let padding = (at_most - mint(0).len()) * 3 / 4 - 2;
    (padding..padding + 8)
        .map(mint)
        .take_while(|token| token.len() <= at_most)
        .last()
        .expect("a token")
}

#[tokio::test]
async fn a_token_of_16_kib_is_read_and_a_longer_one_refused() {
    let house = TestHouse::start().await;
    let (longest, longer) = (long_token(&house, LIMIT), long_token(&house, LIMIT + 3));
    assert!((LIMIT - 2..=LIMIT).contains(&longest.len()), "{}", longest.len());
    assert!(longer.len() > LIMIT, "{}", longer.len());
    let longest_cut = longest[..longest.len() - 4].to_owned();
    for form in HEADER_FORMS {
        let Some(front) = front(&house, form).await else {
            return;
        };
        for (what, token, status) in [
            ("longest", longest.clone(), 200),
            ("longest, cut", longest_cut.clone(), 401),
            ("longer", longer.clone(), 401),
            ("far longer", "a".repeat(48 * 1024), 401),
        ] {
            let got = front.get("/workspaces/ws-alice", &token).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (status, status == 200),
                "{what} {form:?}"
            );
            let record = record_of(&house, &got);
            assert!(record.to_string().len() < 2000, "{what} {form:?}: {record}");
        }
        assert_eq!(counted(&front, "error").await, 0, "{form:?}");
    }
}

/// Bytes that are not UTF-8 in a header that nobody asks about change nothing.
#[tokio::test]
async fn bytes_that_are_not_text() {
    let house = TestHouse::start().await;
    let bearer = |who: &str| format!("Bearer {}", token(&house, who).expect("a token")).into_bytes();
    let alice = bearer("alice");
    let junk: (&str, &[u8]) = ("x-junk", b"\xff\xfe");
    let credential = |bytes: &[u8]| Some(bytes.to_vec());
    let rows = [
        ("alice", credential(&alice), "/workspaces/ws-alice", 200),
        ("alice elsewhere", credential(&alice), "/workspaces/ws-bob", 403),
        ("nobody", None, "/public/hello", 200),
        ("nobody elsewhere", None, "/workspaces/ws-alice", 401),
        ("expired", credential(&bearer("expired")), "/public/hello", 401),
        (
            "junk as token",
            credential(b"Bearer \xff\xfe"),
            "/public/hello",
            401,
        ),
        ("junk as scheme", credential(b"\xff\xfe"), "/public/hello", 401),
        (
            "junk behind",
            credential(&[&alice[..], b"\xff"].concat()),
            "/workspaces/ws-alice",
            401,
        ),
        (
            "junk before",
            credential(&[b"Bearer \xff", &alice[7..]].concat()),
            "/workspaces/ws-alice",
            401,
        ),
        (
            "junk between",
            credential(&[b"Bearer\xa0", &alice[7..]].concat()),
            "/workspaces/ws-alice",
            401,
        ),
    ];
    for form in HEADER_FORMS {
        let Some(front) = front(&house, form).await else {
            return;
        };
        for (what, credential, target, status) in &rows {
            for with_junk in [&[][..], &[junk], &[junk, junk]] {
                let mut headers = with_junk.to_vec();
                headers.extend(credential.iter().map(|bytes| ("authorization", bytes.as_slice())));
                let got = raw::exchange(&front, &raw::request("GET", target.as_bytes(), &headers)).await;
                let expected = (*status, *status == 200);
                assert_eq!(
                    (got.status, got.seen.is_some()),
                    expected,
                    "{what} {form:?}: {got:?}"
                );
                record_of(&house, &got);
            }
        }
        assert_eq!(counted(&front, "error").await, 0, "{form:?}");
    }
}
