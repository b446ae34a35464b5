//! What is judged is what the upstream gets: path and query.

use model::{Decoding, RequestPath};

use crate::envoy::{raw, record_of};
use crate::house::TestHouse;
use crate::proxy::{Program, Proxy};

/// Hostile targets of nobody: the status, and the path that the upstream sees. Portcullis saw the same.
pub(crate) async fn paths(program: &'static Program, rows: &[(&[u8], u16, &str)]) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (target, status, path) in rows {
        let row = String::from_utf8_lossy(target);
        let got = proxy.exchange(&raw::request("GET", target, &[])).await;
        assert_eq!(got.status, *status, "{row}: {got:?}");
        let seen = got.seen.as_ref().map(|seen| seen.path.as_str());
        assert_eq!(seen, (!path.is_empty()).then_some(*path), "{row}");
        if let Some(seen) = seen {
            let (path, _) = RequestPath::parse_target(seen.as_bytes(), Decoding::Raw).expect(seen);
            assert_eq!(record_of(&house, &got)["path"], path.as_str(), "{row}");
        }
    }
}

/// The query that is judged is the one that the upstream sees.
pub(crate) async fn queries(program: &'static Program) {
    let policy = r#"
        @id("first-page")
        permit (principal, action in Action::"read", resource is Catalogue)
        when { context.query has page && context.query.page == "1" };
    "#;
    let expose = |text| text + "\nexpose: { query: [page] }\n";
    let house = program.house_with(expose, &[("first-page.cedar", policy)]).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (query, passes) in [
        ("?page=1", Some(true)),
        ("?a=%2F&page=1", Some(true)),
        ("?page=2", Some(false)),
        ("?page=1&page=2", Some(false)),
        ("", Some(false)),
        // Some proxies make `&` of `;` before they ask.
        ("?page=1;page=2", Some(false)),
        ("?page=2;page=1", Some(false)),
        ("?a;page=1", None),
        ("?page=1;a", None),
        ("?page=1%26page=2", Some(false)),
        ("?%70age=1", None),
        ("?page=%zz", Some(false)),
        ("?page=1&page=%zz", Some(false)),
        ("?page=1&a=%", None),
        ("?page=2&x-forwarded-uri=/catalogue/x?page=1", Some(false)),
    ] {
        let got = proxy.send("GET", &format!("/catalogue/x{query}"), &[]).await;
        assert!(
            passes.is_none_or(|passes| passes == got.seen.is_some()),
            "{query}: {got:?}"
        );
        let Some(seen) = got.seen else { continue };
        let (_, seen) = seen.path.split_once('?').expect("a query");
        let pages = seen
            .split(['&', ';'])
            .filter(|pair| pair.replace("%70", "p").starts_with("page="));
        assert_eq!(
            pages.map(|pair| &pair[pair.len() - 2..]).collect::<Vec<_>>(),
            ["=1"],
            "{query}: {seen}"
        );
    }
}

/// Of a proxy that takes `/public` away after asking.
pub(crate) async fn stripped(house: &TestHouse, proxy: &Proxy) {
    for (target, path) in [
        ("/public/hello", Some("/hello")),
        ("/public/workspaces", Some("/workspaces")),
    ] {
        let got = proxy.send("GET", target, &[]).await;
        assert_eq!(
            got.seen.as_ref().map(|seen| seen.path.as_str()),
            path,
            "{target}: {got:?}"
        );
        assert_eq!(record_of(house, &got)["path"], target);
    }
    let got = proxy
        .send(
            "GET",
            "/workspaces/ws-alice",
            &[("x-forwarded-prefix", "/public")],
        )
        .await;
    assert_eq!((got.status, got.seen.is_some()), (401, false), "{got:?}");
}
