//! The configuration in `deploy/envoy` is one that works: only its ports are others here.

use bytes::Bytes;
use portcullis::demo::echo::Echo;
use portcullis::demo::envoy::{Envoy, EnvoyError};

use super::token;
use crate::house::{Front, TestHouse, skipped};

const CONFIG: &str = include_str!("../../../deploy/envoy/envoy.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_to_start_from_works() {
    let house = TestHouse::start().await;
    let echo = Echo::start().await.expect("an upstream");
    let mut text = CONFIG.to_owned();
    for (there, here) in [
        ("port_value: 10000", "port_value: 0".to_owned()),
        ("port_value: 9191", format!("port_value: {}", house.grpc().port())),
        (
            "port_value: 8000",
            format!("port_value: {}", echo.address().port()),
        ),
        ("timeout: 0.5s", "timeout: 10s".to_owned()),
    ] {
        assert_eq!(text.matches(there).count(), 1, "{there}");
        text = text.replace(there, &here);
    }
    text.push_str("admin:\n  address:\n    socket_address: { address: 127.0.0.1, port_value: 0 }\n");
    let envoy = match Envoy::start_with(&text).await {
        Ok(envoy) => envoy,
        Err(EnvoyError::Tool(error)) => return skipped("envoy", &error.to_string()),
        Err(error) => panic!("{error}"),
    };
    let front = Front { envoy, echo };
    let alice = token(&house, "alice").expect("a token");
    let bearer = format!("Bearer {alice}");
    let alice = ("authorization", bearer.as_str());
    for (headers, path, status) in [
        (&[][..], "/public/hello", 200),
        (&[], "/workspaces/ws-alice", 401),
        (&[alice], "/workspaces/ws-alice", 200),
        (&[alice], "/workspaces/ws-bob", 403),
        // Raw headers: two credentials are two, and refused.
        (&[alice, alice], "/workspaces/ws-alice", 401),
    ] {
        let got = front.send("GET", path, headers, Bytes::new()).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{path} {}",
            headers.len()
        );
    }
}
