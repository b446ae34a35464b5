//! The admin listener: what probes and operators get, and that nobody else does.

use bytes::Bytes;
use portcullis::demo::http;
use portcullis::demo::issuer::Answer as KeyService;

use crate::house::TestHouse;

async fn get(house: &TestHouse, target: &str) -> (u16, String) {
    let answer = http::send(house.admin(), "GET", target, &[], Bytes::new())
        .await
        .expect("an answer");
    let body = String::from_utf8(answer.body().to_vec()).expect("text");
    (answer.status().as_u16(), body)
}

fn quick(text: String) -> String {
    text.replace(
        "trust_roles: true",
        "trust_roles: true\n    min_refresh_interval_seconds: 1",
    )
}

#[tokio::test]
async fn readiness_waits_for_keys_and_liveness_does_not() {
    let house = TestHouse::without_keys(KeyService::Unavailable, quick).await;
    assert_eq!(get(&house, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&house, "/readyz").await, (503, "not ready\n".to_owned()));
    house.issuer.set_answer(KeyService::Keys);
    house.until_ready().await;
    assert_eq!(get(&house, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(&house, "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn verbose_readiness_lists_every_condition() {
    let house = TestHouse::without_keys(KeyService::Unavailable, quick).await;
    crate::house::until("the first fetch has failed", async || {
        get(&house, "/readyz?verbose")
            .await
            .1
            .contains("last fetch failed")
    })
    .await;
    let (status, text) = get(&house, "/readyz?verbose").await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((status, lines.len()), (503, 5), "{text}");
    assert!(
        lines[0].starts_with("[+] policies: 7 loaded, 6 routes, version "),
        "{text}"
    );
    assert!(
        lines[1].starts_with("[+] engine: sliced, 0 decisions checked"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("[-] issuer main: 0 keys, never fetched; last fetch failed: "),
        "{text}"
    );
    assert!(
        lines[2].contains("503"),
        "it does not say what the issuer answered: {text}"
    );
    assert_eq!(lines[3..], ["[+] accepting", "not ready"], "{text}");
    house.issuer.set_answer(KeyService::Keys);
    house.until_ready().await;
    let (status, text) = get(&house, "/readyz?verbose=1").await;
    assert_eq!(status, 200);
    let issuer = text.lines().nth(2).unwrap_or_default();
    assert!(issuer.starts_with("[+] issuer main: 5 keys, 0 s old"), "{text}");
    assert!(text.ends_with("[+] accepting\nready\n"), "{text}");
}

#[tokio::test]
async fn there_is_nothing_else() {
    let house = TestHouse::start().await;
    for target in [
        "/",
        "/healthz",
        "/livez/",
        "/readyz/main",
        "/debug",
        "/envoy.service.auth.v3.Authorization/Check",
    ] {
        assert_eq!(get(&house, target).await.0, 404, "{target}");
    }
    let post = http::send(house.admin(), "POST", "/readyz", &[], Bytes::new())
        .await
        .expect("an answer");
    assert_eq!(post.status(), 405);
    // `/livez` and the health service on the port of the proxies: see `conformance::transport`.
    assert_ne!(house.admin(), house.grpc());
}
