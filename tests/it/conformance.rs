//! The conformance cases, one test a case: `case_07_...` is the seventh. Those of the HTTP contracts are in [`http_doors`] and
//! [`connections`]; all others are about Envoy's gRPC contract.
//!
//! There the caller is a plain gRPC client with a `CheckRequest` made by hand, so that everything can be asked that a proxy,
//! a mesh or an attacker behind one could ask. Real proxies are in [`crate::envoy`].

mod connections;
mod credentials;
mod health;
mod http_doors;
mod istio;
mod paths;
mod replies;
mod requests;
pub(crate) mod resets;
mod transport;

use proto::envoy::config::core::v3::{Address, HeaderValueOption, SocketAddress, address};
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use proto::google::protobuf::value::Kind;
use tonic::transport::{Channel, Endpoint};

use crate::house::TestHouse;

/// Routes that the default configuration does not have, each for one thing that a case is about.
const ROUTES: &str = r#"
  - { path: /query, methods: [GET], resource: { type: Catalogue, id: query } }
  - { path: /tier, methods: [GET], resource: { type: Catalogue, id: tier } }
  - { path: /inside, methods: [GET], resource: { type: Catalogue, id: inside } }
  - { path: /upload, methods: [POST], resource: { type: Catalogue, id: upload } }
  - { path: /admin, methods: [GET], resource: { type: Catalogue, id: admin } }
  - { path: /certificates, methods: [GET], resource: { type: Catalogue, id: certificates } }
  - path: /cookies
    methods: [GET]
    resource: { type: Catalogue, id: cookies }
    on_deny: { status: 403, headers: [[set-cookie, a=1], [set-cookie, b=2]] }

# Groups of actions"#;

/// Settings that those routes' policies look at.
const SETTINGS: &str = r#"
expose:
  query: [x]
  extensions: [tier]
  headers: [tier]
  body: [name]
tcp: [{ destination_port: 5432, resource: { type: Catalogue, id: database } }]
client_certificates: { name: mesh, trust_domains: [td.test], forwarded_from: [10.0.0.0/8] }
"#;

const POLICIES: &str = r#"
@id("query-x")
permit (principal, action == Action::"GET", resource == Catalogue::"query")
when { context.path == "/query" && context.query has x && context.query.x == "1" };

@id("tier-gold")
permit (principal, action == Action::"GET", resource == Catalogue::"tier")
when { context.extensions has tier && context.extensions.tier == "gold" };

@id("from-inside")
permit (principal, action == Action::"GET", resource == Catalogue::"inside")
when { context has client_ip && context.client_ip.isInRange(ip("2.2.2.0/24")) };

@id("upload-of-alice")
permit (principal, action == Action::"POST", resource == Catalogue::"upload")
when { context.body has name && context.body.name == "alice" };

// With this alone a request for /admin would pass; the forbid is what keeps it out.
@id("read-everything")
permit (principal, action == Action::"GET", resource == Catalogue::"admin");

@id("admin-never")
forbid (principal, action, resource == Catalogue::"admin");

@id("database-for-a")
permit (principal is Robot, action == Action::"tcp.connect", resource == Catalogue::"database")
when { principal.subject == "spiffe://td.test/ns/x/sa/a" };

@id("certificates-for-a")
permit (principal is Robot, action == Action::"GET", resource == Catalogue::"certificates")
when { principal.issuer == "mesh" && principal.subject == "spiffe://td.test/ns/x/sa/a" };

@id("certificates-through-a")
permit (principal is User, action == Action::"GET", resource == Catalogue::"certificates")
when { context has peer && context.peer == "spiffe://td.test/ns/x/sa/a" };
"#;

/// The default configuration with what the cases need, and `more` settings.
async fn house_with(more: &str) -> TestHouse {
    let alter = |text: String| {
        assert!(
            text.contains("\n# Groups of actions"),
            "the default configuration has changed"
        );
        text.replace("\n# Groups of actions", ROUTES) + SETTINGS + more
    };
    TestHouse::with(alter, &[("conformance.cedar", POLICIES)]).await
}

async fn house() -> TestHouse {
    house_with("").await
}

/// A client on a connection of its own.
async fn client(house: &TestHouse) -> AuthorizationClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", house.grpc())).expect("an address");
    AuthorizationClient::new(endpoint.connect().await.expect("a connection"))
        .max_encoding_message_size(64 * 1024 * 1024)
}

/// Asks, and expects an answer: whatever the question is, the call itself goes well.
async fn ask(house: &TestHouse, request: CheckRequest) -> CheckResponse {
    let answer = client(house).await.check(request).await;
    answer
        .expect("no question may turn into a gRPC error")
        .into_inner()
}

/// A request for `https://api.example.test` as Envoy's HTTP filter sends it, pseudo-headers included.
fn http(method: &str, path: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let pseudo = [
        (":method", method),
        (":path", path),
        (":authority", "api.example.test"),
        (":scheme", "https"),
    ];
    let headers = pseudo.iter().chain(headers);
    let http = HttpRequest {
        id: "17".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        host: "api.example.test".to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/2".to_owned(),
        headers: headers.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(peer("9.9.9.9", 40_000, "")),
            destination: Some(peer("10.0.0.1", 443, "")),
            request: Some(Request { http: Some(http) }),
            ..AttributeContext::default()
        }),
    }
}

/// The same with more said about the HTTP request.
fn http_with(mut request: CheckRequest, change: impl FnOnce(&mut HttpRequest)) -> CheckRequest {
    let http = request
        .attributes
        .as_mut()
        .and_then(|attributes| attributes.request.as_mut()?.http.as_mut());
    change(http.expect("an HTTP request"));
    request
}

fn peer(address: &str, port: u32, principal: &str) -> Peer {
    let socket = SocketAddress {
        address: address.to_owned(),
        port_value: port,
    };
    Peer {
        address: Some(Address {
            address: Some(address::Address::SocketAddress(socket)),
        }),
        principal: principal.to_owned(),
        ..Peer::default()
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The code of the answer; a missing status is 0 to Envoy, and so it is here.
fn code(response: &CheckResponse) -> i32 {
    response.status.as_ref().map_or(0, |status| status.code)
}

#[track_caller]
fn allowed(response: &CheckResponse) -> &OkHttpResponse {
    assert_eq!(code(response), 0, "{response:#?}");
    match &response.http_response {
        Some(HttpResponse::OkResponse(ok)) => ok,
        other => panic!("an allow without an ok_response: {other:#?}"),
    }
}

/// The denial, if its code and HTTP status are these.
#[track_caller]
fn denied(response: &CheckResponse, grpc: i32, http: i32) -> &DeniedHttpResponse {
    match &response.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => {
            let status = denied.status.as_ref().map(|status| status.code);
            assert_eq!((code(response), status), (grpc, Some(http)), "{response:#?}");
            denied
        }
        other => panic!("no denied_response: {other:#?}"),
    }
}

/// Name and value of each header.
fn pairs(headers: &[HeaderValueOption]) -> Vec<(&str, &str)> {
    let headers = headers.iter().filter_map(|option| option.header.as_ref());
    headers
        .map(|header| (header.key.as_str(), header.value.as_str()))
        .collect()
}

fn value<'a>(headers: &'a [HeaderValueOption], name: &str) -> Option<&'a str> {
    let mut values = pairs(headers).into_iter().filter(|(key, _)| *key == name);
    let value = values.next().map(|(_, value)| value);
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

/// A string of the dynamic metadata.
fn metadata(response: &CheckResponse, key: &str) -> String {
    let fields = response
        .dynamic_metadata
        .as_ref()
        .map(|metadata| &metadata.fields);
    match fields.and_then(|fields| fields.get(key)?.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text.clone(),
        other => panic!("no string {key} in the dynamic metadata: {other:?}"),
    }
}

/// What was recorded of this answer.
fn record(house: &TestHouse, response: &CheckResponse) -> serde_json::Value {
    house.record(&metadata(response, "decision_id"))
}
