//! A no is 401 or 403, whatever Portcullis' own status is.

use super::NGINX;
use crate::envoy::{DECISION_ID, record_of};

const LATER: &str = r#"
    @id("later") @status("429") @reason("come back later")
    forbid (principal, action, resource is PublicPage) when { context.path == "/public/busy" };
"#;

#[tokio::test]
async fn every_denial_is_401_or_403() {
    let house = NGINX.house_with(|text| text, &[("later.cedar", LATER)]).await;
    let Some(proxy) = NGINX.start(&house).await else {
        return;
    };
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
        let got = proxy.send_as(&house, who, "GET", target, &[]).await;
        let row = format!("{who} {target}");
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{row}: {got:?}"
        );
        let record = record_of(&house, &got);
        assert_eq!(record["status"], own, "{row}");
        assert_eq!(
            got.header("www-authenticate").is_some(),
            status == 401,
            "{row}: {got:?}"
        );
    }
    // What the application answers is its own, and has no id of ours.
    let got = proxy.send_as(&house, "nobody", "GET", "/public/hello", &[]).await;
    assert_eq!((got.status, got.header(DECISION_ID)), (200, None), "{got:?}");
}
