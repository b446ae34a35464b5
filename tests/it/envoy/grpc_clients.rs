//! gRPC clients behind Envoy: a denial reaches them as a gRPC status with our line as its message.

use portcullis::demo::envoy::{EnvoyOptions, OnError};
use proto::envoy::service::auth::v3::CheckRequest;
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::Code;
use tonic::transport::Endpoint;

use super::{DECISION_ID, counted, token};
use crate::house::TestHouse;

/// Any unary call will do, and one client is at hand: the method is `<prefix>/envoy.service.auth.v3.Authorization/Check`.
#[tokio::test]
async fn a_denial_is_a_grpc_status_with_our_message() {
    let house = TestHouse::start().await;
    for on_error in [OnError::Deny(403), OnError::Allow] {
        let Some(front) = house.envoy(|options| EnvoyOptions { on_error, ..options }).await else {
            return;
        };
        for (who, prefix, code, message) in [
            ("nobody", "", Code::Unauthenticated, "a credential is needed"),
            (
                "nobody",
                "/public",
                Code::Unauthenticated,
                "a credential is needed",
            ),
            (
                "expired",
                "/public",
                Code::Unauthenticated,
                "the credential was refused",
            ),
            ("alice", "", Code::PermissionDenied, "access denied"),
            (
                "alice",
                "/workspaces/ws-alice",
                Code::PermissionDenied,
                "access denied",
            ),
            (
                "alice",
                "/workspaces/workspace-api",
                Code::PermissionDenied,
                "this workspace name is reserved",
            ),
            // HTTP 400 has no better place among the gRPC codes.
            (
                "alice",
                "/a/..",
                Code::Internal,
                "the path can be read in more than one way",
            ),
        ] {
            let origin = format!("http://{}{prefix}", front.envoy.address());
            let endpoint = Endpoint::from_shared(format!("http://{}", front.envoy.address()));
            let channel = endpoint
                .expect("an address")
                .connect()
                .await
                .expect("a connection");
            let mut client = AuthorizationClient::with_origin(channel, origin.parse().expect("an origin"));
            let mut request = tonic::Request::new(CheckRequest::default());
            if let Some(token) = token(&house, who) {
                let bearer = format!("Bearer {token}").parse().expect("a value");
                request.metadata_mut().insert("authorization", bearer);
            }
            let row = format!("{who} {prefix} {on_error:?}");
            let status = client.check(request).await.expect_err(&row);
            assert_eq!((status.code(), status.message()), (code, message), "{row}");
            let id = status.metadata().get(DECISION_ID).and_then(|id| id.to_str().ok());
            let record = house.record(id.expect("an id"));
            assert_eq!(record["verdict"], "deny", "{row}");
        }
        assert_eq!(front.echo.requests(), 0, "{on_error:?}");
        assert_eq!(counted(&front, "error").await, 0, "{on_error:?}");
    }
}
