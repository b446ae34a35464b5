//! Portcullis is gone for a while: nothing passes, and nobody has to do anything when it is back.

use portcullis::demo::envoy::HeaderForm;

use super::{DECISION_ID, ask, counted, front};
use crate::house::{TestHouse, until};

#[tokio::test]
async fn nothing_passes_while_it_is_stopped() {
    let mut house = TestHouse::start().await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
        return;
    };
    for round in 0..2 {
        for (who, target) in [("alice", "/workspaces/ws-alice"), ("nobody", "/public/hello")] {
            let got = ask(&house, &front, who, "GET", target).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (200, true),
                "round {round}: {who}"
            );
        }
        house.stop().await;
        let failed = counted(&front, "error").await;
        for (who, target) in [
            ("alice", "/workspaces/ws-alice"),
            ("nobody", "/public/hello"),
            ("nobody", "/workspaces/ws-alice"),
        ] {
            let got = ask(&house, &front, who, "GET", target).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (403, false),
                "round {round}: {who}"
            );
            assert_eq!(got.header(DECISION_ID), None, "nobody decided: {got:?}");
        }
        assert_eq!(counted(&front, "error").await, failed + 3, "round {round}");
        house.restart().await;
        until("alice gets through again", async || {
            let got = ask(&house, &front, "alice", "GET", "/workspaces/ws-alice").await;
            got.status == 200
        })
        .await;
    }
}
