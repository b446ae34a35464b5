//! The same over gRPC, for clients that find out by reflection what there is to call.

use futures_util::StreamExt as _;
use portcullis::demo::people;
use proto::portcullis::admin::v1::admin_client::AdminClient;
use proto::portcullis::admin::v1::{
    GetNodeRequest, LiftRequest, ListRevocationsRequest, Node, RevokeRequest, SERVICE,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{administrator, house};
use crate::house::TestHouse;

async fn channel(house: &TestHouse) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", house.admin())).expect("an address");
    endpoint.connect().await.expect("a connection")
}

fn with<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("a header");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// The id of the decision that a refusal names.
fn decision(status: &Status) -> Option<&str> {
    status.metadata().get("x-portcullis-decision-id")?.to_str().ok()
}

#[tokio::test]
async fn the_same_verbs_answer_over_grpc() {
    let house = house().await;
    let mut client = AdminClient::new(channel(&house).await);
    let administrator = administrator(&house);
    let alice = people::alice(&house.issuer).token;
    for (token, code) in [
        (None, Code::Unauthenticated),
        (Some(&*alice), Code::PermissionDenied),
    ] {
        let refused = client
            .list_revocations(with(ListRevocationsRequest::default(), token))
            .await;
        let refused = refused.expect_err("nobody may");
        assert_eq!(refused.code(), code, "{refused:?}");
        assert_eq!(
            decision(&refused),
            house.last_record()["decision_id"].as_str(),
            "{refused:?}"
        );
    }
    let revoke = RevokeRequest {
        issuer: "main".to_owned(),
        kind: "subject".to_owned(),
        value: people::ALICE.to_owned(),
        ..RevokeRequest::default()
    };
    let made = client.revoke(with(revoke.clone(), Some(&administrator))).await;
    let made = made.expect("a revocation").into_inner();
    let answer = house
        .ask(
            "GET",
            "/workspaces/ws-alice",
            &[("authorization", &format!("Bearer {alice}"))],
        )
        .await;
    assert_eq!(answer.reason, "revoked");
    let list = client
        .list_revocations(with(ListRevocationsRequest::default(), Some(&administrator)))
        .await;
    assert_eq!(
        list.expect("a list").into_inner().revocations,
        std::slice::from_ref(&made)
    );
    let lift = LiftRequest { id: made.id };
    client
        .lift(with(lift.clone(), Some(&administrator)))
        .await
        .expect("it is lifted");

    let gone = client
        .lift(with(lift, Some(&administrator)))
        .await
        .expect_err("gone");
    assert_eq!((gone.code(), decision(&gone)), (Code::NotFound, None), "{gone:?}");
    let nobody = RevokeRequest {
        issuer: "mian".to_owned(),
        ..revoke
    };
    let invalid = client
        .revoke(with(nobody, Some(&administrator)))
        .await
        .expect_err("nobody");
    assert_eq!(invalid.code(), Code::InvalidArgument, "{invalid:?}");
    assert!(invalid.message().contains("there are: main"), "{invalid:?}");
    let url = "https://b.example.test".to_owned();
    let node = Node {
        name: "b".to_owned(),
        base_url: url.clone(),
        jwks_url: url.clone(),
        token_url: url.clone(),
        authorization_url: url,
        redirect_uris: Vec::new(),
    };
    client
        .create_node(with(node.clone(), Some(&administrator)))
        .await
        .expect("a node");
    let again = client
        .create_node(with(node.clone(), Some(&administrator)))
        .await
        .expect_err("two");
    assert_eq!(again.code(), Code::AlreadyExists, "{again:?}");
    let get = GetNodeRequest { name: "b".to_owned() };
    let found = client
        .get_node(with(get, Some(&administrator)))
        .await
        .expect("a node");
    assert_eq!(found.into_inner(), node);
}

#[tokio::test]
async fn reflection_says_what_there_is_to_call() {
    let house = house().await;
    let mut client = ServerReflectionClient::new(channel(&house).await);
    let ask = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let questions = futures_util::stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
    ]);
    let answers = client.server_reflection_info(questions).await.expect("answers");
    let answers: Vec<_> = answers.into_inner().collect().await;
    let mut answers = answers
        .into_iter()
        .map(|answer| answer.expect("an answer").message_response);
    let Some(Some(MessageResponse::ListServicesResponse(services))) = answers.next() else {
        panic!("no list of services");
    };
    let names: Vec<&str> = services.service.iter().map(|service| &*service.name).collect();
    assert!(names.contains(&SERVICE), "{names:?}");
    let Some(Some(MessageResponse::FileDescriptorResponse(files))) = answers.next() else {
        panic!("no description of the service");
    };
    assert!(!files.file_descriptor_proto.is_empty());
}
