//! The same messages, fully filled, in our types and in those of the complete generated code.

/// One request and two replies, with the same code for both crates: a value cannot differ between them by mistake.
/// `$rest` fills what we do not know; it is empty for ours, so that the compiler asks for every field.
macro_rules! samples {
    ($($rest:tt)*) => {
        pub(crate) use pb::envoy::config::core::v3::*;
        pub(crate) use pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
        pub(crate) use pb::envoy::r#type::v3::{HttpStatus, StatusCode};
        pub(crate) use pb::envoy::service::auth::v3::attribute_context::*;
        pub(crate) use pb::envoy::service::auth::v3::check_response::HttpResponse;
        pub(crate) use pb::envoy::service::auth::v3::*;
        pub(crate) use pb::google::protobuf::{Struct, Value, value::Kind};
        pub(crate) use pb::google::rpc::Status;

        pub(crate) fn request() -> CheckRequest {
            let socket_address = address::Address::SocketAddress(socket_address("192.0.2.1".into(), 49152));
            let pipe = address::Address::Pipe(Pipe { path: "@portcullis".into(), $($rest)* });
            CheckRequest {
                attributes: Some(AttributeContext {
                    source: Some(peer("source", socket_address)),
                    destination: Some(peer("destination", pipe)),
                    request: Some(Request { http: Some(http_request()), $($rest)* }),
                    context_extensions: [("route".into(), "workspaces".into())].into(),
                    metadata_context: Some(Metadata {
                        filter_metadata: [("filter".into(), facts("alice"))].into(),
                        $($rest)*
                    }),
                    route_metadata_context: Some(Metadata {
                        filter_metadata: [("route".into(), facts("bob"))].into(),
                        $($rest)*
                    }),
                    tls_session: Some(TlsSession { sni: "sni.example.org".into(), $($rest)* }),
                    $($rest)*
                }),
                $($rest)*
            }
        }

        pub(crate) fn allow() -> CheckResponse {
            let http_response = HttpResponse::OkResponse(OkHttpResponse {
                headers: vec![
                    header("x-user", HeaderAppendAction::OverwriteIfExistsOrAdd),
                    header("x-user", HeaderAppendAction::OverwriteIfExists),
                ],
                headers_to_remove: vec!["x-gone".into(), "x-gone-too".into()],
                response_headers_to_add: vec![header("x-for-caller", HeaderAppendAction::AddIfAbsent)],
                query_parameters_to_set: vec![QueryParameter {
                    key: "key".into(),
                    value: "a%20value".into(),
                    $($rest)*
                }],
                query_parameters_to_remove: vec!["token".into()],
                $($rest)*
            });
            reply(0, http_response)
        }

        pub(crate) fn deny() -> CheckResponse {
            let http_response = HttpResponse::DeniedResponse(DeniedHttpResponse {
                status: Some(HttpStatus { code: StatusCode::NotFound.into(), $($rest)* }),
                headers: vec![header("set-cookie", HeaderAppendAction::AppendIfExistsOrAdd)],
                body: "no such workspace".into(),
                $($rest)*
            });
            reply(7, http_response)
        }

        fn peer(name: &str, address: address::Address) -> Peer {
            Peer {
                address: Some(Address { address: Some(address), $($rest)* }),
                service: format!("{name} service"),
                principal: format!("spiffe://{name}"),
                certificate: format!("-----BEGIN {name}"),
                $($rest)*
            }
        }

        fn http_request() -> HttpRequest {
            HttpRequest {
                id: "4711".into(),
                method: "PROPFIND".into(),
                headers: [(":method".into(), "PROPFIND".into()), ("cookie".into(), "a=1,b=2".into())].into(),
                header_map: Some(HeaderMap {
                    headers: vec![raw_header("x-twice", b"one"), raw_header("x-twice", b"\xff\x00")],
                    $($rest)*
                }),
                path: "/a%2fb?x=1".into(),
                host: "host.example.org:8443".into(),
                scheme: "https".into(),
                query: "x=2".into(),
                protocol: "HTTP/2".into(),
                body: "text".into(),
                raw_body: b"\xfe\x00bytes".to_vec().into(),
                size: -1,
                $($rest)*
            }
        }

        fn raw_header(key: &str, raw_value: &[u8]) -> HeaderValue {
            HeaderValue {
                key: key.into(),
                value: "text".into(),
                raw_value: raw_value.to_vec().into(),
                $($rest)*
            }
        }

        fn header(key: &str, append_action: HeaderAppendAction) -> HeaderValueOption {
            HeaderValueOption {
                header: Some(raw_header(key, b"raw")),
                append: Some(flag(append_action == HeaderAppendAction::AppendIfExistsOrAdd)),
                append_action: append_action.into(),
                $($rest)*
            }
        }

        fn reply(code: i32, http_response: HttpResponse) -> CheckResponse {
            CheckResponse {
                status: Some(Status { code, message: "for developers".into(), $($rest)* }),
                http_response: Some(http_response),
                dynamic_metadata: Some(facts("decision")),
                $($rest)*
            }
        }

        fn facts(text: &str) -> Struct {
            let kind = Some(Kind::StringValue(text.into()));
            Struct { fields: [("fact".into(), Value { kind })].into() }
        }
    };
}

pub(crate) mod ours {
    pub(crate) use proto as pb;

    fn socket_address(address: String, port_value: u32) -> SocketAddress {
        SocketAddress { address, port_value }
    }

    fn flag(value: bool) -> bool {
        value
    }

    samples! {}
}

/// `append` and everything else that is deprecated there is still on the wire.
#[allow(deprecated, clippy::needless_update)]
pub(crate) mod theirs {
    pub(crate) use envoy_types::pb;
    use pb::envoy::config::core::v3::socket_address::PortSpecifier;

    fn socket_address(address: String, port: u32) -> SocketAddress {
        SocketAddress {
            address,
            port_specifier: Some(PortSpecifier::PortValue(port)),
            ..Default::default()
        }
    }

    fn flag(value: bool) -> pb::google::protobuf::BoolValue {
        pb::google::protobuf::BoolValue { value }
    }

    samples! { ..Default::default() }

    /// [`request`] as a proxy sends it: with fields that we do not know, in every message that has such.
    pub(crate) fn full_request() -> CheckRequest {
        let mut request = request();
        let attributes = request.attributes.as_mut().unwrap();
        for peer in [&mut attributes.source, &mut attributes.destination]
            .into_iter()
            .flatten()
        {
            peer.labels = [("app".into(), "shop".into())].into();
            match peer.address.as_mut().unwrap().address.as_mut().unwrap() {
                address::Address::SocketAddress(socket) => {
                    socket.protocol = 1;
                    socket.resolver_name = "resolver".into();
                    socket.ipv4_compat = true;
                    socket.network_namespace_filepath = "/run/netns/a".into();
                }
                address::Address::Pipe(pipe) => pipe.mode = 0o600,
                address::Address::EnvoyInternalAddress(_) => unreachable!("no sample has it"),
            }
        }
        for metadata in [
            &mut attributes.metadata_context,
            &mut attributes.route_metadata_context,
        ] {
            let any = pb::google::protobuf::Any {
                type_url: "type/x".into(),
                value: vec![1, 2],
            };
            metadata.as_mut().unwrap().typed_filter_metadata = [("typed".into(), any)].into();
        }
        let request_part = attributes.request.as_mut().unwrap();
        request_part.time = Some(pb::google::protobuf::Timestamp {
            seconds: 1_700_000_000,
            nanos: 5,
        });
        request_part.http.as_mut().unwrap().fragment = "fragment".into();
        request
    }

    /// [`allow`] and [`deny`] with fields that we do not know.
    pub(crate) fn full_replies() -> [CheckResponse; 2] {
        [allow(), deny()].map(|mut reply| {
            let any = pb::google::protobuf::Any {
                type_url: "type/x".into(),
                value: vec![3],
            };
            reply.status.as_mut().unwrap().details = vec![any];
            let headers = match reply.http_response.as_mut().unwrap() {
                HttpResponse::OkResponse(ok) => {
                    ok.dynamic_metadata = Some(facts("old place"));
                    &mut ok.headers
                }
                HttpResponse::DeniedResponse(denied) => &mut denied.headers,
                HttpResponse::ErrorResponse(_) => unreachable!("no sample has it"),
            };
            headers
                .iter_mut()
                .for_each(|header| header.keep_empty_value = true);
            reply
        })
    }
}
