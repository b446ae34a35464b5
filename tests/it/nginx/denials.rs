//! A no is 401 or 403, whatever Portcullis' own status is; no answer is 500. None of them costs a connection.

use std::sync::atomic::Ordering;

use super::{front, house, start};
use crate::envoy::DECISION_ID;
use crate::proxies;

const LATER: &str = r#"
    @id("later") @status("429") @reason("come back later")
    forbid (principal, action, resource is PublicPage) when { context.path == "/public/busy" };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_denial_is_401_or_403() {
    let house = house(&[("later.cedar", LATER)]).await;
    let Some(proxy) = front(&house).await else { return };
    // Its own status, that is, the one that another proxy would tell.
    for (who, target, own, status) in [
        ("nobody", "/public/busy", 429, 403),
        ("alice", "/public/busy", 429, 403),
        ("nobody", "/public//hello", 400, 403),
        ("nobody", "/workspaces", 401, 401),
        ("expired", "/public/hello", 401, 401),
        ("alice", "/workspaces", 403, 403),
        ("alice", "/unknown", 403, 403),
    ] {
        let got = proxy.send(&house, who, "GET", target, &[]).await;
        let row = format!("{who} {target}");
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{row}: {got:?}"
        );
        let record = proxies::record(&house, &got).expect("a decision");
        assert_eq!(record["status"], own, "{row}");
        assert_eq!(
            got.header("www-authenticate").is_some(),
            status == 401,
            "{row}: {got:?}"
        );
    }
    // What the application answers is its own, and has no id of ours.
    let got = proxy.send(&house, "nobody", "GET", "/public/hello", &[]).await;
    assert_eq!((got.status, got.header(DECISION_ID)), (200, None), "{got:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_portcullis_are_kept() {
    let house = house(&[]).await;
    let (authz, connections) = proxies::counted(house.http()).await;
    let Some(proxy) = start(authz, "20s").await else {
        return;
    };
    for (who, target, status) in [
        ("alice", "/workspaces/ws-alice", 200),
        ("nobody", "/public/hello", 200),
        ("nobody", "/workspaces", 401),
        ("alice", "/workspaces", 403),
        ("alice", "/workspaces/ws-alice", 200),
    ] {
        let got = proxy.send(&house, who, "GET", target, &[]).await;
        assert_eq!(got.status, status, "{who} {target}: {got:?}");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_while_portcullis_is_stopped() {
    let mut house = house(&[]).await;
    let Some(proxy) = front(&house).await else { return };
    proxies::check_outage(&mut house, &proxy, 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_verdict_is_a_failure() {
    proxies::check_no_verdict(async |authz| start(authz, "500ms").await, 500).await;
}
