//! Our messages against the complete ones that other people generated from Envoy's own files: same bytes, same
//! meaning, in both directions. What is not here: how the server reads and writes these bytes (`contracts`).
//!
//! A field added to `/proto` does not compile here until `samples!` sets it, and `samples_set_every_field` fails
//! until it is set to a value that no other field of its message has.

mod samples;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use prost::Message;
use protox::prost_reflect::{DescriptorPool, DynamicMessage, Value};

use samples::{ours, theirs};

#[track_caller]
fn check_same<Ours, Theirs>(ours: Ours, theirs: Theirs)
where
    Ours: Message + Default + PartialEq + Debug,
    Theirs: Message + Default + PartialEq + Debug,
{
    assert_eq!(
        Theirs::decode(&ours.encode_to_vec()[..]).as_ref(),
        Ok(&theirs),
        "they read what we write"
    );
    assert_eq!(
        Ours::decode(&theirs.encode_to_vec()[..]).as_ref(),
        Ok(&ours),
        "we read what they write"
    );
}

#[test]
fn every_field_means_the_same_on_both_sides() {
    check_same(ours::request(), theirs::request());
    check_same(ours::allow(), theirs::allow());
    check_same(ours::deny(), theirs::deny());
    check_same(ours::CheckRequest::default(), theirs::CheckRequest::default());
}

#[test]
fn fields_that_we_do_not_know_are_skipped() {
    let request = theirs::full_request();
    assert_ne!(request, theirs::request());
    assert_eq!(Message::decode(&request.encode_to_vec()[..]), Ok(ours::request()));

    for (full, known) in theirs::full_replies().iter().zip([ours::allow(), ours::deny()]) {
        assert_ne!(full.encode_to_vec(), known.encode_to_vec());
        assert_eq!(Message::decode(&full.encode_to_vec()[..]), Ok(known));
    }
}

/// A choice made for an arm that we do not know reads as no choice, and nothing around it is lost.
#[test]
fn choices_that_we_do_not_know_read_as_none() {
    use theirs::pb::envoy::config::core::v3 as core;

    let mut reply = theirs::deny();
    reply.http_response = match reply.http_response {
        Some(theirs::HttpResponse::DeniedResponse(denied)) => {
            Some(theirs::HttpResponse::ErrorResponse(denied))
        }
        other => other,
    };
    let expected = ours::CheckResponse {
        http_response: None,
        ..ours::deny()
    };
    assert_eq!(Message::decode(&reply.encode_to_vec()[..]), Ok(expected));

    let internal = core::EnvoyInternalAddress {
        endpoint_id: "a".into(),
        ..Default::default()
    };
    let address = core::Address {
        address: Some(core::address::Address::EnvoyInternalAddress(internal)),
    };
    assert_eq!(
        Message::decode(&address.encode_to_vec()[..]),
        Ok(ours::Address { address: None })
    );

    let named = core::socket_address::PortSpecifier::NamedPort("https".into());
    let socket = core::SocketAddress {
        port_specifier: Some(named),
        ..Default::default()
    };
    assert_eq!(
        Message::decode(&socket.encode_to_vec()[..]),
        Ok(ours::SocketAddress::default())
    );
}

/// The samples leave out no field of `/proto`, and within a message no two fields have the same value: two fields
/// whose numbers are swapped would be noticed.
#[test]
fn samples_set_every_field() {
    let pool = descriptors();
    let all: BTreeSet<String> = pool
        .all_messages()
        .filter(|message| !message.is_map_entry() && message.package_name() != "google.protobuf")
        .flat_map(|message| {
            message
                .fields()
                .map(|field| field.full_name().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();

    let mut set = BTreeSet::new();
    for (name, bytes) in [
        ("CheckRequest", ours::request().encode_to_vec()),
        ("CheckResponse", ours::allow().encode_to_vec()),
        ("CheckResponse", ours::deny().encode_to_vec()),
    ] {
        let message = pool
            .get_message_by_name(&format!("envoy.service.auth.v3.{name}"))
            .unwrap();
        collect_fields(&DynamicMessage::decode(message, &bytes[..]).unwrap(), &mut set);
    }
    let missing: Vec<_> = all.difference(&set).collect();
    assert!(missing.is_empty(), "no sample sets {missing:#?}");
}

fn collect_fields(message: &DynamicMessage, into: &mut BTreeSet<String>) {
    let fields: Vec<_> = message.fields().collect();
    for (i, (field, value)) in fields.iter().enumerate() {
        into.insert(field.full_name().to_owned());
        let same = fields[..i].iter().find(|(_, other)| other == value);
        assert!(
            same.is_none(),
            "{} has the value of another field: {same:?}",
            field.full_name()
        );
        match value {
            Value::Message(inner) => collect_fields(inner, into),
            Value::List(list) => list
                .iter()
                .filter_map(Value::as_message)
                .for_each(|m| collect_fields(m, into)),
            Value::Map(map) => map
                .values()
                .filter_map(Value::as_message)
                .for_each(|m| collect_fields(m, into)),
            _ => {}
        }
    }
}

fn descriptors() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler
        .open_file("envoy/service/auth/v3/external_auth.proto")
        .unwrap();
    compiler.descriptor_pool()
}

#[test]
fn enums_have_the_same_values_and_names() {
    use {envoy_types::pb::envoy as theirs, proto::envoy as ours};
    for number in -1..1000 {
        assert_eq!(
            ours::r#type::v3::StatusCode::try_from(number)
                .ok()
                .map(|value| value.as_str_name()),
            theirs::r#type::v3::StatusCode::try_from(number)
                .ok()
                .map(|value| value.as_str_name()),
        );
        use ours::config::core::v3::header_value_option::HeaderAppendAction as Ours;
        use theirs::config::core::v3::header_value_option::HeaderAppendAction as Theirs;
        assert_eq!(
            Ours::try_from(number).ok().map(|value| value.as_str_name()),
            Theirs::try_from(number).ok().map(|value| value.as_str_name()),
        );
    }
}

#[test]
fn the_path_is_the_one_of_the_only_method() {
    let paths: Vec<String> = descriptors()
        .services()
        .flat_map(|service| {
            let name = service.full_name().to_owned();
            service
                .methods()
                .map(|method| format!("/{name}/{}", method.name()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(paths, [proto::CHECK_PATH]);
    assert_eq!(proto::CHECK_PATH, "/envoy.service.auth.v3.Authorization/Check");
}

/// Our client talks to a server that was generated from Envoy's own files; no connection is needed for that.
#[tokio::test]
async fn our_client_is_understood() {
    use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
        Authorization, AuthorizationServer,
    };
    use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;

    struct Server;

    #[tonic::async_trait]
    impl Authorization for Server {
        async fn check(
            &self,
            request: tonic::Request<theirs::CheckRequest>,
        ) -> Result<tonic::Response<theirs::CheckResponse>, tonic::Status> {
            assert_eq!(request.into_inner(), theirs::request());
            Ok(tonic::Response::new(theirs::deny()))
        }
    }

    let mut client = AuthorizationClient::new(AuthorizationServer::new(Server));
    assert_eq!(
        client.check(ours::request()).await.unwrap().into_inner(),
        ours::deny()
    );
}
