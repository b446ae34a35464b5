//! What a client writes into headers to be taken for somebody or something else.

use super::{identity_at_upstream, send_as};
use crate::envoy::{DECISION_ID, record_of, token};
use crate::house::{Got, TestHouse};
use crate::proxy::{Program, Proxy};

/// What may stand in a header name besides letters, digits and the dash (RFC 9110 section 5.6.2). CGI makes `_` of each.
pub(crate) const ALIASES: &str = "_.!#$%&'*+^`|~";

/// What a client may claim about its request in the words of this or another proxy. None of it is true.
pub(crate) const CLAIMS: [(&str, &str); 16] = [
    ("X-Forwarded-Uri", "/public/hello"),
    ("X-Forwarded-Method", "GET"),
    ("X-Forwarded-Host", "evil.test"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-For", "6.6.6.6"),
    ("X_Forwarded_Uri", "/public/hello"),
    ("X_Forwarded_For", "6.6.6.6"),
    ("X-Original-URL", "http://api.example.test/public/hello"),
    ("X-Original-Method", "GET"),
    ("X-Original-URI", "/public/hello"),
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6;host=evil.test;proto=https"),
    ("X-Envoy-External-Address", "6.6.6.6"),
    ("X-Rewrite-Url", "/public/hello"),
    ("X-Http-Method-Override", "GET"),
    ("X-Forwarded-Prefix", "/public"),
];

/// Those of them that upstreams may believe: they see what they would have seen without.
const BELIEVED: [&str; 14] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-http-method-override",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x_forwarded_uri",
];

/// Identity headers in every spelling, twice: the upstream sees what it would have seen without them. `others` are the
/// characters that stand for a dash; what mixes them with dashes comes to the status `mixed`.
pub(crate) async fn spoofed_headers(house: &TestHouse, proxy: &Proxy, others: &str, mixed: u16) {
    let names = house.identity_headers();
    for (who, target) in [
        ("alice", "/workspaces/ws-alice"),
        ("client", "/catalogue/x"),
        ("nobody", "/public/hello"),
    ] {
        let honest = send_as(house, proxy, who, "GET", target, &[]).await;
        let honest = identity_at_upstream(&honest, &names);
        assert_eq!(
            honest.contains_key("x-auth-subject"),
            who != "nobody",
            "{who}: {honest:?}"
        );
        assert!(honest.contains_key("x-auth-type"), "{who}: {honest:?}");
        for spelt in spellings(others) {
            let spoofed: Vec<String> = names.iter().map(|name| spelt(name)).collect();
            let twice = spoofed
                .iter()
                .flat_map(|name| [(name.as_str(), "root"), (name, "admin, root")]);
            let got = send_as(house, proxy, who, "GET", target, &twice.collect::<Vec<_>>()).await;
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
            assert_eq!(identity_at_upstream(&got, &names), honest, "{who} {spoofed:?}");
            // The decision's id is ours, too: exactly one, and there is a record of it.
            let id = spelt(DECISION_ID);
            let got = send_as(
                house,
                proxy,
                who,
                "GET",
                target,
                &[(&id, "chosen"), (&id, "twice")],
            )
            .await;
            assert_eq!(record_of(house, &got)["verdict"], "allow", "{who} {id}");
            let ids = identity_at_upstream(&got, &[DECISION_ID.to_owned()]);
            assert!(ids.keys().eq([DECISION_ID]), "{who} {id}: {ids:?}");
        }
    }
}

/// What clients claim, in the words of any proxy, once or twice, changes no verdict and no record.
pub(crate) async fn claims(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let twice: Vec<_> = CLAIMS
        .iter()
        .flat_map(|claim| [*claim, (claim.0, "/other")])
        .collect();
    for (who, method, target, status) in [
        ("alice", "GET", "/workspaces/ws-alice", 200),
        ("alice", "GET", "/workspaces/ws-bob", 403),
        ("alice", "DELETE", "/workspaces/ws-alice", 403),
        ("nobody", "GET", "/workspaces/ws-alice", 401),
        ("nobody", "DELETE", "/public/hello", 401),
    ] {
        let plain = send_as(&house, &proxy, who, method, target, &[]).await;
        let plain_record = record_of(&house, &plain);
        assert_eq!(plain.status, status, "{who} {method} {target}: {plain:?}");
        let each = CLAIMS.iter().map(std::slice::from_ref);
        for claims in each.chain([&CLAIMS[..], &twice[..]]) {
            let row = format!("{who} {method} {target} {claims:?}");
            let got = send_as(&house, &proxy, who, method, target, claims).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (status, status == 200),
                "{row}: {got:?}"
            );
            let record = record_of(&house, &got);
            for field in [
                "method",
                "host",
                "path",
                "scheme",
                "client_ip",
                "verdict",
                "reason",
                "contract",
            ] {
                assert_eq!(record[field], plain_record[field], "{row} {field}");
            }
            for name in BELIEVED.iter().filter(|_| status == 200) {
                assert_eq!(got.at_upstream(name), plain.at_upstream(name), "{row} {name}");
            }
        }
    }
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
        let plain = send_as(&house, &proxy, who, "GET", target, &[]).await;
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
                identity_at_upstream(&got, &names),
                identity_at_upstream(&plain, &names),
                "{who} {named}"
            );
            assert_eq!(record_of(&house, &got)["verdict"], "allow", "{who} {named}");
        }
        // Naming the credential can only take it away: no yes comes of it that there would not be without it.
        let headers = [("connection", "authorization")];
        let got = send_as(&house, &proxy, who, "GET", target, &headers).await;
        let subject = |got: &Got| identity_at_upstream(got, &names).get("x-auth-subject").cloned();
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
