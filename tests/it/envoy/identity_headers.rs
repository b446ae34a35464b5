//! Headers that say who asks: the upstream gets ours and nobody else's, whatever the client sends.

use std::collections::BTreeMap;

use super::{DECISION_ID, HEADER_FORMS, front, raw, record_of, token};
use crate::house::{Front, Got, TestHouse};

/// The spellings that some upstream would take for `name`, apart from those that mix `-` and `_`.
pub(super) fn spellings(name: &str) -> [String; 4] {
    let underscores = name.replace('-', "_");
    [
        name.to_owned(),
        name.to_uppercase(),
        underscores.to_uppercase(),
        underscores,
    ]
}

/// Those that mix, one for each hyphen.
pub(super) fn mixed_spellings(name: &str) -> Vec<String> {
    let hyphens = name.match_indices('-').map(|(at, _)| at);
    let mut mixed: Vec<String> = hyphens
        .map(|at| format!("{}_{}", &name[..at], &name[at + 1..]))
        .filter(|name| name.contains('-'))
        .collect();
    mixed.extend(mixed.clone().iter().map(|name| name.to_uppercase()));
    mixed
}

/// Sends a GET with these headers and the credential of `who`.
async fn get(house: &TestHouse, front: &Front, who: &str, target: &str, headers: &[(String, &str)]) -> Got {
    let bearer = token(house, who).map(|token| format!("Bearer {token}"));
    let headers = headers.iter().map(|(name, value)| (name.as_str(), *value));
    let headers = headers.chain(bearer.iter().map(|bearer| ("authorization", bearer.as_str())));
    let headers: Vec<_> = headers.map(|(name, value)| (name, value.as_bytes())).collect();
    raw::exchange(front, &raw::request("GET", target.as_bytes(), &headers)).await
}

/// All that the upstream saw under the identity headers and their look-alikes.
pub(super) fn identity_at_upstream(got: &Got, names: &[String]) -> BTreeMap<String, Vec<String>> {
    let seen = got.seen.as_ref().expect("the upstream was reached");
    let fold = |name: &str| name.to_lowercase().replace('_', "-");
    let wanted = |name: &str| names.iter().any(|n| fold(n) == fold(name));
    let headers = seen.headers.iter().filter(|(name, _)| wanted(name));
    headers
        .map(|(name, values)| (name.clone(), values.clone()))
        .collect()
}

/// Who asks for what, and all the identity headers that the upstream sees then.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const ROWS: [Row; 3] = [
    (
        "alice",
        "/workspaces/ws-alice",
        &[
            ("x-auth-principal", "main/7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01"),
            ("x-auth-type", "User"),
            ("x-auth-subject", "7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01"),
            ("x-auth-name", "alice"),
            ("x-auth-client", "workspace-api"),
            ("x-auth-groups", "ws-alice"),
        ],
    ),
    (
        "client",
        "/catalogue/x",
        &[
            ("x-auth-principal", "main/portal-backend"),
            ("x-auth-type", "Client"),
            ("x-auth-subject", "portal-backend"),
            ("x-auth-client", "portal-backend"),
        ],
    ),
    ("nobody", "/public/hello", &[("x-auth-type", "Anonymous")]),
];

/// Every header in every spelling, twice: the upstream sees what it would have seen without them.
#[tokio::test]
async fn spoofed_headers_never_reach_the_upstream() {
    let house = TestHouse::start().await;
    let names = house.identity_headers();
    let spoofed = names.iter().flat_map(|name| spellings(name));
    let spoofed: Vec<_> = spoofed
        .flat_map(|name| [(name.clone(), "root"), (name, "admin, root")])
        .collect();
    assert_eq!(spoofed.len(), 6 * 4 * 2, "{names:?}");
    for form in HEADER_FORMS {
        let Some(front) = front(&house, form).await else {
            return;
        };
        for (who, target, expected) in ROWS {
            let expected = expected.iter();
            let expected: BTreeMap<_, _> = expected
                .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
                .collect();
            for headers in [&[], &spoofed[..]] {
                let got = get(&house, &front, who, target, headers).await;
                let row = format!("{who} {form:?} with {} headers", headers.len());
                assert_eq!(got.status, 200, "{row}: {got:?}");
                assert_eq!(identity_at_upstream(&got, &names), expected, "{row}");
            }
        }
    }
}

/// Upstreams that make variables of headers cannot tell these from ours, and Envoy cannot remove what it is not told.
#[tokio::test]
async fn mixed_spellings_are_refused() {
    let house = TestHouse::start().await;
    let names = house.identity_headers();
    for form in HEADER_FORMS {
        let Some(front) = front(&house, form).await else {
            return;
        };
        for name in names.iter().flat_map(|name| mixed_spellings(name)) {
            for (who, target, _) in ROWS {
                let got = get(&house, &front, who, target, &[(name.clone(), "root")]).await;
                let row = format!("{who} {name} {form:?}");
                assert_eq!((got.status, got.seen.is_some()), (400, false), "{row}: {got:?}");
                assert_eq!(record_of(&house, &got)["reason"], "malformed", "{row}");
            }
        }
    }
}

#[tokio::test]
async fn other_headers_pass_untouched() {
    let house = TestHouse::start().await;
    let headers: [(&str, &[u8]); 7] = [
        ("x-other", b"a"),
        ("X-Other", b"b, c"),
        ("x_other", b"d"),
        ("x-auth", b"e"),
        ("x-auth-subject-", b"f"),
        ("x-auth-subject2", b"g"),
        ("x-author_other", b"h"),
    ];
    for form in HEADER_FORMS {
        let Some(front) = front(&house, form).await else {
            return;
        };
        let got = raw::exchange(&front, &raw::request("GET", b"/public/hello", &headers)).await;
        assert_eq!(got.status, 200, "{form:?}: {got:?}");
        assert_eq!(got.at_upstream("x-other"), ["a", "b, c"], "{form:?}");
        for (name, value) in &headers[2..] {
            assert_eq!(
                got.at_upstream(name).concat().as_bytes(),
                *value,
                "{name} {form:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_decision_id_is_ours() {
    let house = TestHouse::start().await;
    let alias = "X_Portcullis_Decision_Id";
    let headers = [(DECISION_ID, "chosen"), (DECISION_ID, "twice"), (alias, "alias")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    for form in HEADER_FORMS {
        let Some(front) = front(&house, form).await else {
            return;
        };
        let got = get(&house, &front, "alice", "/workspaces/ws-alice", &headers).await;
        // `record_of` finds exactly one id, and a record of it.
        assert_eq!(record_of(&house, &got)["verdict"], "allow", "{form:?}");
        assert_eq!(got.at_upstream(&alias.to_lowercase()), [""; 0], "{form:?}");
        assert_eq!(got.header(DECISION_ID), None, "{form:?}");
        let got = get(&house, &front, "alice", "/workspaces/ws-bob", &headers).await;
        assert_eq!(record_of(&house, &got)["verdict"], "deny", "{form:?}");
    }
}
