//! Through a real HAProxy with the configuration in `deploy/haproxy`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use portcullis::demo::child::Guarded;
use portcullis::demo::people;
use portcullis::demo::tools::{DebianTool, debian_tool};

use crate::envoy::DECISION_ID;
use crate::house::{TestHouse, skipped};
use crate::proxies::{self, Proxy, altered};

const CONFIG: &str = include_str!("../../deploy/haproxy/haproxy.cfg");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/haproxy/portcullis.lua");

const HAPROXY: DebianTool = DebianTool {
    package: "haproxy",
    libraries: &["liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1"],
};

/// The default house with a door for HAProxy.
async fn house() -> TestHouse {
    proxies::house("haproxy", "/haproxy", &[]).await
}

/// HAProxy that asks this house. `None`, and said so, where HAProxy cannot be had.
async fn front(house: &TestHouse) -> Option<Proxy> {
    // On a busy machine a second may pass before a thread gets its turn.
    start(house.http(), "20000").await
}

/// HAProxy that asks at this address and waits so many milliseconds for an answer.
async fn start(authz: SocketAddr, patience: &str) -> Option<Proxy> {
    let fetched = tokio::task::spawn_blocking(|| debian_tool(&HAPROXY, &mut |_| {})).await;
    let root = match fetched.expect("no panic") {
        Ok(root) => root,
        Err(error) => {
            skipped("haproxy", &error.to_string());
            return None;
        }
    };
    let mut libraries = OsString::from("LD_LIBRARY_PATH=");
    libraries.push(root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH)));
    let program = root.join("usr/sbin/haproxy");
    let proxy = Proxy::start("haproxy", |dir, address, upstream| {
        let text = altered(
            CONFIG,
            &[
                ("bind :10080", format!("bind {address}")),
                (
                    "127.0.0.1:9193 /haproxy 2000",
                    format!("{authz} /haproxy {patience}"),
                ),
                ("session-timeout 10s", "session-timeout 60s".to_owned()),
                ("/etc/haproxy/portcullis.lua", SCRIPT.to_owned()),
                ("127.0.0.1:8000", upstream.to_string()),
            ],
        );
        let config = dir.join("haproxy.cfg");
        std::fs::write(&config, text)?;
        let arguments = [
            libraries.as_os_str(),
            program.as_os_str(),
            "-db".as_ref(),
            "-f".as_ref(),
            config.as_os_str(),
        ];
        Guarded::spawn(Path::new("/usr/bin/env"), arguments, &dir.join("log"))
    });
    Some(proxy.await)
}

const ROWS: &str = "
    alice          GET     /workspaces/ws-alice                        200 permitted
    alice          GET     /workspaces/ws-alice?a=/../b&c=%2f          200 permitted
    alice          PUT     /workspaces/ws-alice                        200 permitted
    client         GET     /catalogue/x                                200 permitted
    nobody         GET     /public/hello                               200 permitted
    nobody         GET     /public/caf%C3%A9                           200 permitted
    nobody         GET     /public/café                                400 -
    nobody         GET     /public/%61                                 200 permitted
    nobody         GET     /workspaces/ws-alice                        401 credential_missing
    nobody         HEAD    /workspaces/ws-alice                        401 credential_missing
    expired        GET     /public/hello                               401 credential_refused
    forged         GET     /workspaces/ws-alice                        401 credential_refused
    alg:none       GET     /workspaces/ws-alice                        401 credential_refused
    alice          GET     /workspaces/ws-bob                          403 no_permit
    alice          DELETE  /workspaces/ws-alice                        403 no_permit
    alice          PURGE   /workspaces/ws-alice                        403 no_method
    alice          GET     /haproxy                                    403 no_route
    # HAProxy passes every path on as it is, so all of these are refused by Portcullis.
    alice          GET     /public/../workspaces/ws-bob                400 ambiguous_path
    alice          GET     /public/%2e%2e/workspaces/ws-bob            400 ambiguous_path
    alice          GET     /public/..%2fworkspaces                     400 ambiguous_path
    alice          GET     /public/..%5cworkspaces                     400 ambiguous_path
    alice          GET     /public/..\\workspaces                      400 ambiguous_path
    alice          GET     /public/..;/workspaces                      400 ambiguous_path
    alice          GET     /public/a;b                                 400 ambiguous_path
    alice          GET     //workspaces/ws-alice                       400 ambiguous_path
    alice          GET     /workspaces//ws-alice                       400 ambiguous_path
    alice          GET     /./workspaces/ws-alice                      400 ambiguous_path
    alice          GET     /public/../../workspaces                    400 ambiguous_path
    alice          GET     /public/%00                                 400 ambiguous_path
    alice          GET     /public/%zz                                 400 ambiguous_path
    alice          GET     /workspaces/ws-alice%252fx                  400 ambiguous_path
    nobody         GET     /public/#/workspaces                        400 -
";

#[tokio::test(flavor = "multi_thread")]
async fn verdicts() {
    let house = house().await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_verdicts(&house, &proxy, "haproxy", ROWS).await;
    proxies::check_bodies(&house, &proxy).await;
    proxies::check_authorities(&proxy).await;
    proxies::check_whole_urls(&house, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_reads_what_portcullis_says() {
    let house = house().await;
    let Some(proxy) = front(&house).await else { return };
    for (who, status, body) in [
        ("nobody", 401, "a credential is needed"),
        ("alice", 403, "access denied"),
    ] {
        let got = proxy.send(&house, who, "GET", "/workspaces/ws-bob", &[]).await;
        assert_eq!(
            (got.status, got.body.as_ref()),
            (status, body.as_bytes()),
            "{got:?}"
        );
        assert_eq!(got.header("cache-control"), Some("no-store"), "{got:?}");
        assert_eq!(
            got.header("content-type"),
            Some("text/plain; charset=utf-8"),
            "{got:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spoofed_headers_never_reach_the_upstream() {
    let house = house().await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_spoofing(&house, &proxy).await;
}

/// HAProxy drops, without a word, a header for which its buffer has no room.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_passes_with_all_identity_headers_or_not_at_all() {
    let house = house().await;
    let Some(proxy) = front(&house).await else { return };
    let mut claims = people::alice_claims();
    let groups: Vec<String> = (0..40)
        .map(|number| format!("/{}-{number:02}", "g".repeat(50)))
        .collect();
    claims["groups"] = groups.into();
    let bearer = format!("Bearer {}", house.issuer.token(claims));
    let mut statuses = Vec::new();
    for padding in (0..14_000).step_by(500) {
        let padding = "x".repeat(padding);
        let headers = [("authorization", bearer.as_str()), ("x-padding", &padding)];
        let got = proxy
            .send(&house, "nobody", "GET", "/workspaces/ws-alice", &headers)
            .await;
        if got.seen.is_some() {
            let groups = got.at_upstream("x-auth-groups").concat();
            assert_eq!(
                (got.status, groups.matches("ggg-").count()),
                (200, 40),
                "{}",
                padding.len()
            );
            for name in ["x-auth-principal", "x-auth-type", "x-auth-name", DECISION_ID] {
                assert_eq!(got.at_upstream(name).len(), 1, "{name} {}", padding.len());
            }
        }
        statuses.push(got.status);
    }
    statuses.dedup();
    // 400: HAProxy itself, for what does not fit at all.
    assert_eq!(statuses, [200, 503, 400]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_other_contracts_change_nothing() {
    let house = house().await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_foreign_headers(&house, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_portcullis_are_kept() {
    let house = house().await;
    let (authz, connections) = proxies::counted(house.http()).await;
    let Some(proxy) = start(authz, "20000").await else {
        return;
    };
    for _ in 0..3 {
        let got = proxy.send(&house, "nobody", "GET", "/public/hello", &[]).await;
        assert_eq!(got.status, 200, "{got:?}");
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_while_portcullis_is_stopped() {
    let mut house = house().await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_outage(&mut house, &proxy, 503).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_verdict_is_a_failure() {
    proxies::check_no_verdict(async |authz| start(authz, "300").await, 503).await;
}
