//! What a client writes into headers to be taken for somebody else.

use super::at_upstream;
use crate::envoy::{DECISION_ID, record_of, token};
use crate::house::{Got, TestHouse};
use crate::proxy::{Program, Proxy};

/// What may stand in a header name besides letters, digits and the dash (RFC 9110 section 5.6.2). CGI makes `_` of each.
pub(crate) const ALIASES: &str = "_.!#$%&'*+^`|~";

/// Somebody, what they may read, and what the upstream knows of them then: headers and their values.
type Person = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const PEOPLE: [Person; 3] = [
    (
        "alice",
        "/workspaces/ws-alice",
        &[("x-auth-name", "alice"), ("x-auth-type", "User")],
    ),
    (
        "client",
        "/catalogue/x",
        &[("x-auth-subject", "portal-backend"), ("x-auth-type", "Client")],
    ),
    ("nobody", "/public/hello", &[("x-auth-type", "Anonymous")]),
];

/// Headers whose names are none.
const NO_NAMES: [&str; 4] = [
    "X-Auth-Name : root",
    "X-Auth-Name\t: root",
    "X-Auth-Name\u{a0}: root",
    " X-Auth-Name: root",
];

/// Identity headers in every spelling, twice: the upstream sees what it would have seen without them. `others` are the
/// characters that stand for a dash; what mixes them with dashes comes to the status `mixed`.
pub(crate) async fn spoofed_headers(house: &TestHouse, proxy: &Proxy, others: &str, mixed: u16) {
    let names = house.identity_headers();
    assert_eq!(names.len(), 6, "{names:?}");
    let ours: Vec<String> = names.iter().cloned().chain([DECISION_ID.to_owned()]).collect();
    for (who, target, known) in PEOPLE {
        let honest = proxy.send_as(house, who, "GET", target, &[]).await;
        assert_eq!(honest.status, 200, "{who}: {honest:?}");
        let honest = at_upstream(&honest, &names);
        for (name, value) in known {
            assert_eq!(honest[*name], [*value], "{who}");
        }
        // A header without a value says nothing; see `nothing_of_nobody`.
        let said = |name: &str| honest.get(name).is_some_and(|values| !values.concat().is_empty());
        assert_eq!(said("x-auth-subject"), who != "nobody", "{who}: {honest:?}");
        let all = names.iter().filter(|name| said(name)).count();
        assert!(who != "nobody" || all == 1, "{honest:?}");
        // All names in one spelling, and each name in all spellings of which an upstream might take the last.
        let mut attempts: Vec<Vec<String>> = Vec::new();
        for spelt in spellings(others) {
            attempts.push(names.iter().map(|name| spelt(name)).collect());
            attempts.push(vec![spelt(DECISION_ID)]);
        }
        attempts.extend(ours.iter().map(|name| mixtures(name)));
        for spoofed in attempts {
            let twice = spoofed
                .iter()
                .flat_map(|name| [(name.as_str(), "root"), (name, "admin, root")]);
            let twice: Vec<_> = twice.collect();
            let got = proxy.send_as(house, who, "GET", target, &twice).await;
            let is_mixed = |name: &String| name.contains('-') && name.contains(|c| others.contains(c));
            if mixed != 200 && spoofed.iter().any(is_mixed) {
                assert_eq!(
                    (got.status, got.seen.is_some()),
                    (mixed, false),
                    "{who} {spoofed:?}: {got:?}"
                );
                continue;
            }
            assert_eq!(got.status, 200, "{who} {spoofed:?}: {got:?}");
            assert_eq!(at_upstream(&got, &names), honest, "{who} {spoofed:?}");
            // The decision's id is ours, too: exactly one, and there is a record of it.
            assert_eq!(record_of(house, &got)["verdict"], "allow", "{who} {spoofed:?}");
            let ids = at_upstream(&got, &[DECISION_ID]);
            assert!(ids.keys().eq([DECISION_ID]), "{who} {spoofed:?}: {ids:?}");
        }
        for line in NO_NAMES {
            let bearer = token(house, who).map(|token| format!("authorization: Bearer {token}\r\n"));
            let bearer = bearer.unwrap_or_default();
            let request = format!(
                "GET {target} HTTP/1.1\r\nhost: api.example.test\r\n{bearer}{line}\r\nconnection: close\r\n\r\n"
            );
            let got = proxy.exchange(request.as_bytes()).await;
            // Refused, or not passed on.
            if got.seen.is_some() {
                assert_eq!(at_upstream(&got, &names), honest, "{who} {line:?}");
            } else {
                assert!((400..500).contains(&got.status), "{who} {line:?}: {got:?}");
            }
        }
    }
}

/// Of somebody unknown, the upstream sees that, and no other header of ours, not even one without a value.
pub(crate) async fn nothing_of_nobody(proxy: &Proxy) {
    let got = proxy.send("GET", "/public/hello", &[]).await;
    let seen = got.seen.as_ref().expect("the upstream was reached");
    let ours = seen.headers.keys().filter(|name| name.starts_with("x-auth-"));
    assert_eq!(ours.collect::<Vec<_>>(), ["x-auth-type"], "{got:?}");
}

/// A client cannot have a header dropped on the way by calling it one of the connection (RFC 9110 section 7.6.1).
pub(crate) async fn connection_headers(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let names = house.identity_headers();
    for (who, target, passes) in [
        ("alice", "/workspaces/ws-alice", true),
        ("nobody", "/public/hello", true),
        ("nobody", "/workspaces/ws-alice", false),
        ("alice", "/workspaces/ws-bob", false),
    ] {
        let plain = proxy.send_as(&house, who, "GET", target, &[]).await;
        assert_eq!(plain.seen.is_some(), passes, "{who} {target}: {plain:?}");
        let forwarded = ["Host", "Method", "Uri", "Proto", "For"].map(|name| format!("X-Forwarded-{name}"));
        let listed = forwarded.iter().chain(&names).cloned();
        let all = listed.clone().collect::<Vec<_>>().join(", ");
        for named in listed.chain([all, "close, x-auth-subject".to_owned(), DECISION_ID.to_owned()]) {
            let mut request =
                format!("GET {target} HTTP/1.1\r\nhost: api.example.test\r\nconnection: {named}\r\n");
            if let Some(token) = token(&house, who) {
                request += &format!("authorization: Bearer {token}\r\n");
            }
            let got = proxy.exchange((request + "\r\n").as_bytes()).await;
            // Refusing is good, too.
            if got.seen.is_none() {
                assert!(
                    (400..500).contains(&got.status),
                    "{who} {target} {named}: {got:?}"
                );
                continue;
            }
            assert!(passes, "{who} {target} {named}: {got:?}");
            assert_eq!(
                at_upstream(&got, &names),
                at_upstream(&plain, &names),
                "{who} {named}"
            );
            assert_eq!(record_of(&house, &got)["verdict"], "allow", "{who} {named}");
        }
        // Naming the credential can only take it away: no yes comes of it that there would not be without it.
        let headers = [("connection", "authorization")];
        let got = proxy.send_as(&house, who, "GET", target, &headers).await;
        let subject = |got: &Got| at_upstream(got, &names).get("x-auth-subject").cloned();
        if got.seen.is_some() {
            assert!(
                passes && subject(&got) == subject(&plain),
                "{who} {target}: {got:?}"
            );
        }
    }
}

/// Spells a name in another way.
type Spelling = Box<dyn Fn(&str) -> String>;

/// The ways to spell a name that some upstream would take for it: all of it, or only the first dash, with each of the
/// `others` in the place of the dash.
fn spellings(others: &str) -> Vec<Spelling> {
    let mut all: Vec<Spelling> = vec![Box::new(str::to_owned), Box::new(str::to_uppercase)];
    for other in others.chars().map(String::from) {
        let (first, upper) = (other.clone(), other.clone());
        all.push(Box::new(move |name| name.replace('-', &other)));
        all.push(Box::new(move |name| name.replacen('-', &first, 1)));
        all.push(Box::new(move |name| name.replace('-', &upper).to_uppercase()));
    }
    all
}

/// A name with a dash or an underscore at each of its dashes, in lower case and in upper case.
fn mixtures(name: &str) -> Vec<String> {
    let mut parts = name.split('-');
    let mut all = vec![parts.next().unwrap_or_default().to_owned()];
    for part in parts {
        let longer = all
            .iter()
            .flat_map(|begun| ['-', '_'].map(|sign| format!("{begun}{sign}{part}")));
        all = longer.collect();
    }
    let upper: Vec<String> = all.iter().map(|name| name.to_uppercase()).collect();
    all.extend(upper);
    all
}
