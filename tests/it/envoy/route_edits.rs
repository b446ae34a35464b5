//! What a route changes on the way: query parameters towards the upstream, headers and status towards the client.

use bytes::Bytes;
use portcullis::demo::envoy::HeaderForm;

use super::{ask, front, record_of};
use crate::house::TestHouse;

/// Two routes before all others: one that everybody may read, and one that nobody may.
const ROUTES: &str = r#"routes:
  - path: /edited/{rest..}
    methods: [GET]
    resource: { type: PublicPage }
    on_allow:
      response_headers:
        - [content-type, application/vnd.edited]
        - [x-new, "yes, new"]
        - [set-cookie, "a=1; Path=/"]
        - [set-cookie, "b=2; HttpOnly"]
      set_query: { tenant: "a b&admin=1#", page: "1" }
      remove_query: [access_token]
  - path: /hidden/{rest..}
    methods: [GET]
    resource: { type: Catalogue, id: hidden }
    on_deny:
      status: 404
      reason: there is nothing here
      headers:
        - [set-cookie, "a=; Max-Age=0"]
        - [set-cookie, "b=; Max-Age=0"]
        - [x-hint, "try /public"]
"#;

async fn house() -> TestHouse {
    TestHouse::with(|text| text.replacen("routes:\n", ROUTES, 1), &[]).await
}

fn values(headers: &http::HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| value.to_str().expect("text").to_owned())
        .collect()
}

#[tokio::test]
async fn an_allow_edits_the_query_and_the_response() {
    let house = house().await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
        return;
    };
    let encoded = "a%20b%26admin%3D1%23";
    for (query, kept) in [
        ("", &[][..]),
        ("?tenant=evil", &[]),
        ("?tenant=evil&tenant=evil&page=2&x=%20%26", &["x=%20%26"][..]),
        ("?access_token=secret&x=1&access_token=secret", &["x=1"]),
        (
            "?Tenant=other&access_tokens=stay",
            &["Tenant=other", "access_tokens=stay"],
        ),
    ] {
        let target = format!("/edited/x{query}");
        let got = front.send("GET", &target, &[], Bytes::new()).await;
        assert_eq!(got.status, 200, "{query}: {got:?}");
        let seen = got.seen.as_ref().expect("the upstream was reached");
        let (path, after) = seen.path.split_once('?').expect("a query");
        assert_eq!(path, "/edited/x", "{query}");
        let mut pairs: Vec<&str> = after.split('&').collect();
        pairs.sort_unstable();
        let tenant = format!("tenant={encoded}");
        let mut expected = vec!["page=1", tenant.as_str()];
        expected.extend(kept);
        expected.sort_unstable();
        assert_eq!(pairs, expected, "{query}");

        // The upstream's own value of a single header goes; a name that comes twice is added twice.
        assert_eq!(
            values(&got.headers, "content-type"),
            ["application/vnd.edited"],
            "{query}"
        );
        assert_eq!(values(&got.headers, "x-new"), ["yes, new"], "{query}");
        assert_eq!(
            values(&got.headers, "set-cookie"),
            ["a=1; Path=/", "b=2; HttpOnly"],
            "{query}"
        );
    }
    // Only this route does so.
    let got = front
        .send("GET", "/public/x?access_token=t", &[], Bytes::new())
        .await;
    assert_eq!(
        got.seen.as_ref().map(|seen| seen.path.as_str()),
        Some("/public/x?access_token=t")
    );
    assert_eq!(values(&got.headers, "set-cookie"), [""; 0]);
}

#[tokio::test]
async fn a_denial_looks_as_the_route_says() {
    let house = house().await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
        return;
    };
    for (who, status, line, reason) in [
        ("alice", 404, "there is nothing here", "no_permit"),
        ("nobody", 404, "there is nothing here", "credential_missing"),
        // Whose credential is bad hears so, whatever the route.
        ("expired", 401, "the credential was refused", "credential_refused"),
    ] {
        let got = ask(&house, &front, who, "GET", "/hidden/treasure").await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{who}: {got:?}"
        );
        assert_eq!(got.body, line, "{who}");
        assert_eq!(record_of(&house, &got)["reason"], reason, "{who}");
        assert_eq!(got.header("www-authenticate").is_some(), status == 401, "{who}");
        if status == 404 {
            assert_eq!(
                values(&got.headers, "set-cookie"),
                ["a=; Max-Age=0", "b=; Max-Age=0"],
                "{who}"
            );
            assert_eq!(values(&got.headers, "x-hint"), ["try /public"], "{who}");
        }
    }
}
