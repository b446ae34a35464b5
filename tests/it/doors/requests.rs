//! Requests that were made up to get around gates like this one: odd methods, hosts, header names and values, headers that
//! name another request, and what a proxy that is not ours could say. Each through every door, with one outcome; where a
//! door differs, the row says why.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use proto::envoy::service::auth::v3::CheckResponse;
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::{LISTENERS, Reply, exchange_on, request};
use crate::house::TestHouse;

/// The rows, by our own names for what is expected: a canonical path, `refused`, `no_method`, `overwritten` (it passes, and
/// no identity header of the client's does), `stripped` (it passes without the header) or `strange_peer`.
const ROWS: &str = include_str!("requests.json");
/// Every request that there must be a row for: here, or in the model's table of paths.
const IDS: &str = include_str!("requests-ids.txt");
const PATHS: &str = include_str!("../../../crates/model/src/path/vectors.json");

const DOORS: [&str; 9] = [
    "envoy_grpc",
    "envoy_http",
    "apisix",
    "nginx",
    "traefik",
    "caddy",
    "haproxy",
    "apisix_opa",
    "kong_opa",
];
/// The doors that are told in headers what they are asked about.
const FORWARDED: [&str; 4] = ["apisix", "traefik", "caddy", "haproxy"];

const ADMIN: &str = "
  - { path: /admin/secret, methods: [GET, POST, PATCH, OPTIONS], resource: { type: Catalogue, id: admin } }

# Groups of actions";

/// A request. One character is one byte.
#[derive(Debug)]
struct Row {
    id: String,
    method: String,
    target: String,
    hosts: Vec<String>,
    headers: Vec<(String, String)>,
    /// The proxy's own headers instead of all that, for the doors that read some.
    forwarded: Option<Vec<(String, String)>>,
    /// Whoever asks is not the proxy.
    stranger: bool,
    doors: Vec<String>,
    expect: String,
    at: BTreeMap<String, String>,
}

/// What a door answered.
#[derive(Debug)]
struct Answered {
    status: u16,
    /// What was recorded; `None` if HTTP itself refused.
    record: Option<Value>,
    /// Headers that the upstream gets, and those that are removed.
    touched: BTreeSet<String>,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        long => {
            let count = long["repeat"][1].as_u64().expect("a number");
            let unit = long["repeat"][0].as_str().expect("a text");
            unit.repeat(usize::try_from(count).expect("a number"))
        }
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let list = value.as_array().cloned().unwrap_or_default();
    list.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn row(value: &Value) -> Row {
    let list = |name: &str| value[name].as_array().map(|list| list.iter().map(text).collect());
    let or = |name: &str, default: &str| value.get(name).map_or(default.to_owned(), text);
    let forwarded = value.get("forwarded").map(pairs);
    let all = if forwarded.is_some() {
        &FORWARDED[..]
    } else {
        &DOORS[..]
    };
    let at = value["at"].as_object().cloned().unwrap_or_default();
    assert_eq!(
        value.get("why").is_some(),
        !at.is_empty() || value.get("doors").is_some() || value["id"] == "override-query",
        "{value}: what differs needs a reason"
    );
    Row {
        id: text(&value["id"]),
        method: or("method", "GET"),
        target: or("target", "/public/page"),
        hosts: list("hosts").unwrap_or_else(|| vec!["api.example.test".to_owned()]),
        headers: pairs(&value["headers"]),
        forwarded,
        stranger: value["stranger"] == true,
        doors: list("doors").unwrap_or_else(|| all.iter().map(|door| (*door).to_owned()).collect()),
        expect: text(&value["expect"]),
        at: at
            .iter()
            .map(|(door, expect)| (door.clone(), text(expect)))
            .collect(),
    }
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect()
}

/// As much of a `CheckRequest` as is needed, whose texts need not be text.
mod raw {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct CheckRequest {
        #[prost(message, optional, tag = "1")]
        pub(super) attributes: Option<Attributes>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Attributes {
        #[prost(message, optional, tag = "4")]
        pub(super) request: Option<Request>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, optional, tag = "2")]
        pub(super) http: Option<Http>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Http {
        #[prost(bytes = "vec", tag = "2")]
        pub(super) method: Vec<u8>,
        #[prost(bytes = "vec", tag = "4")]
        pub(super) path: Vec<u8>,
        #[prost(bytes = "vec", tag = "5")]
        pub(super) host: Vec<u8>,
        #[prost(string, tag = "6")]
        pub(super) scheme: String,
        #[prost(message, optional, tag = "13")]
        pub(super) header_map: Option<HeaderMap>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct HeaderMap {
        #[prost(message, repeated, tag = "1")]
        pub(super) headers: Vec<Header>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Header {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) key: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(super) value: Vec<u8>,
    }
}

async fn over_grpc(house: &TestHouse, row: &Row) -> Answered {
    let header = |name: &str, value: &str| raw::Header {
        key: bytes(name),
        value: bytes(value),
    };
    let mut headers: Vec<raw::Header> = row.headers.iter().map(|(n, v)| header(n, v)).collect();
    if row.hosts.len() > 1 {
        headers.extend(row.hosts.iter().map(|host| header("host", host)));
    }
    let http = raw::Http {
        method: bytes(&row.method),
        path: bytes(&row.target),
        host: bytes(&row.hosts[0]),
        scheme: "https".to_owned(),
        header_map: Some(raw::HeaderMap { headers }),
    };
    let request = Some(raw::Request { http: Some(http) });
    let attributes = Some(raw::Attributes { request });
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", house.grpc()));
    let channel = endpoint
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("a connection");
    let codec = tonic_prost::ProstCodec::<raw::CheckRequest, CheckResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/envoy.service.auth.v3.Authorization/Check");
    let request = tonic::Request::new(raw::CheckRequest { attributes });
    let answer: CheckResponse = client
        .unary(request, path, codec)
        .await
        .unwrap_or_else(|status| panic!("{}: an error to the proxy: {status}", row.id))
        .into_inner();
    let allowed = answer.status.as_ref().is_none_or(|status| status.code == 0);
    let (status, headers, removed) = match answer.http_response.expect("an answer") {
        HttpResponse::OkResponse(ok) => (200, ok.headers, ok.headers_to_remove),
        HttpResponse::DeniedResponse(denied) => {
            let status = denied.status.expect("a status").code;
            (
                u16::try_from(status).expect("a status"),
                denied.headers,
                Vec::new(),
            )
        }
    };
    assert_eq!(allowed, status == 200, "{}", row.id);
    let headers: Vec<_> = headers.into_iter().filter_map(|header| header.header).collect();
    let id = headers
        .iter()
        .find(|header| header.key == "x-portcullis-decision-id")
        .expect("an id");
    Answered {
        status,
        record: Some(house.record(&id.value)),
        touched: headers
            .into_iter()
            .map(|header| header.key)
            .chain(removed)
            .collect(),
    }
}

/// The bytes of the question at an HTTP door.
fn question(door: &str, row: &Row) -> Vec<u8> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    let mut put = |name: &str, value: &str| headers.push((name.to_owned(), bytes(value)));
    let (mut method, mut target, mut body) = ("GET".to_owned(), format!("/{door}"), Vec::new());
    if let Some(forwarded) = &row.forwarded {
        put("host", "p");
        forwarded.iter().for_each(|(name, value)| put(name, value));
        if door != "nginx" {
            put("x-forwarded-for", "9.9.9.9");
        }
    } else if door.ends_with("_opa") {
        let (contract, arguments) = if door == "kong_opa" {
            ("kong", "querystring")
        } else {
            ("apisix", "query")
        };
        (method, target) = ("POST".to_owned(), format!("/v1/data/{contract}/allow"));
        put("host", "p");
        body = document(contract, arguments, row);
    } else {
        match door {
            "envoy_http" => {
                (method, target) = (row.method.clone(), format!("/check{}", row.target));
                row.hosts.iter().for_each(|host| put("host", host));
            }
            "nginx" => {
                put("host", "p");
                put("x-original-method", &row.method);
                put("x-real-ip", "9.9.9.9");
                for host in &row.hosts {
                    put("x-original-url", &format!("https://{host}{}", row.target));
                }
            }
            _ => {
                put("host", "p");
                put("x-forwarded-method", &row.method);
                put("x-forwarded-proto", "https");
                put("x-forwarded-uri", &row.target);
                put("x-forwarded-for", "9.9.9.9");
                row.hosts.iter().for_each(|host| put("x-forwarded-host", host));
            }
        }
        row.headers.iter().for_each(|(name, value)| put(name, value));
    }
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    request(&method, &bytes(&target), &headers, &body)
}

/// What a plugin writes: what is there once as a text, what is there several times as a list.
fn document(contract: &str, arguments: &str, row: &Row) -> Vec<u8> {
    let utf8 = |text: &str| String::from_utf8(bytes(text)).expect("UTF-8");
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let hosts = row.hosts.iter().map(|host| ("host".to_owned(), host));
    for (name, value) in hosts.chain(
        row.headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value)),
    ) {
        headers.entry(name).or_default().push(utf8(value));
    }
    let headers: serde_json::Map<String, Value> = headers
        .into_iter()
        .map(|(name, mut values)| match values.len() {
            1 => (name, json!(values.remove(0))),
            _ => (name, json!(values)),
        })
        .collect();
    let (path, query) = row.target.split_once('?').unwrap_or((&row.target, ""));
    let query: BTreeMap<&str, &str> = query.split_once('=').into_iter().collect();
    let http = json!({
        "scheme": "https", "method": row.method, "host": utf8(&row.hosts[0]), "path": path, "headers": headers,
        arguments: query,
    });
    let input = match contract {
        "apisix" => json!({ "type": "http", "request": http, "var": { "remote_addr": "9.9.9.9" } }),
        _ => json!({ "request": { "http": http } }),
    };
    json!({ "input": input }).to_string().into_bytes()
}

async fn over_http(house: &TestHouse, door: &str, row: &Row) -> Answered {
    let socket = TcpSocket::new_v4().expect("a socket");
    let from: SocketAddr = if row.stranger {
        "127.0.0.2:0".parse().expect("an address")
    } else {
        "127.0.0.1:0".parse().expect("an address")
    };
    socket.bind(from).expect("an address on the loopback");
    let mut stream = socket.connect(house.all_http()[0]).await.expect("a connection");
    let reply = exchange_on(&mut stream, &question(door, row)).await;
    read(house, door, &reply)
}

fn read(house: &TestHouse, door: &str, reply: &Reply) -> Answered {
    let mut headers: BTreeMap<String, String> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("a text").to_owned()))
        .collect();
    let mut status = reply.status;
    if door.ends_with("_opa") && status == 200 {
        let answer: Value = serde_json::from_slice(&reply.body).expect("a document");
        let result = &answer["result"];
        let denied = || u16::try_from(result["status"].as_u64().expect("a status")).expect("a status");
        status = if result["allow"] == true { 200 } else { denied() };
        let told = result["headers"].as_object().cloned().unwrap_or_default();
        headers.extend(told.iter().map(|(name, value)| (name.clone(), text(value))));
    }
    let removed = headers
        .get("x-envoy-auth-headers-to-remove")
        .cloned()
        .unwrap_or_default();
    let record = headers.get("x-portcullis-decision-id").map(|id| house.record(id));
    Answered {
        status,
        record,
        touched: headers
            .into_keys()
            .chain(removed.split(',').map(str::to_owned))
            .collect(),
    }
}

fn judge(row: &Row, door: &str, identity: &[String], answered: &Answered) {
    let at = format!("{} at {door}: {answered:?}", row.id);
    let expect = row.at.get(door).unwrap_or(&row.expect).as_str();
    let refusals = ["malformed", "ambiguous_path", "invalid_host"];
    let Some(record) = &answered.record else {
        // Some of it no HTTP parser lets through.
        assert!(["refused", "no_method"].contains(&expect), "{at}");
        assert!((400..500).contains(&answered.status), "{at}");
        return;
    };
    let reason = record["reason"].as_str().expect("a reason");
    // A stranger is told before anybody looks at which door it asks.
    if expect != "strange_peer" {
        assert_eq!(record["contract"], door, "{at}");
    }
    match expect {
        "refused" => {
            assert!(refusals.contains(&reason), "{at}");
            let status = if door == "nginx" { 403 } else { 400 };
            assert_eq!(answered.status, status, "{at}");
        }
        "no_method" => assert_eq!(reason, "no_method", "{at}"),
        "strange_peer" => assert_eq!((reason, answered.status), ("strange_peer", 403), "{at}"),
        "overwritten" => {
            assert_eq!(answered.status, 200, "{at}");
            for name in identity {
                assert!(answered.touched.contains(name), "{name} stays: {at}");
            }
        }
        "stripped" => {
            assert_eq!(answered.status, 200, "{at}");
            for (name, _) in &row.headers {
                assert!(
                    answered.touched.contains(&name.to_lowercase()),
                    "{name} stays: {at}"
                );
            }
        }
        path => {
            assert_eq!(record["path"], path, "{at}");
            assert!(!refusals.contains(&reason), "{at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_the_catalogue_has_one_outcome_at_every_door() {
    let listeners = LISTENERS.replacen(
        "doors:\n",
        "allowed_peers: [127.0.0.1/32, '::1/128']\n      doors:\n",
        1,
    );
    let alter = |text: String| {
        text.replace("envoy_grpc: 127.0.0.1:0", &listeners)
            .replace("\n# Groups of actions", ADMIN)
            .replace(
                "identity_headers:\n",
                "identity_headers:\n  x-auth-user: subject\n",
            )
    };
    let house = TestHouse::with(alter, &[]).await;
    let identity = house.identity_headers();
    assert!(identity.contains(&"x-auth-user".to_owned()), "{identity:?}");
    let values: Vec<Value> = serde_json::from_str(ROWS).expect("the rows");
    for row in values.iter().map(row) {
        for door in &row.doors {
            let answered = if door == "envoy_grpc" {
                over_grpc(&house, &row).await
            } else {
                over_http(&house, door, &row).await
            };
            judge(&row, door, &identity, &answered);
        }
    }
}

#[tokio::test]
async fn envoy_over_grpc_reads_the_table_of_targets_like_the_model() {
    let house = super::house_with("").await;
    let vectors: Vec<Value> = serde_json::from_str(PATHS).expect("the table");
    for vector in &vectors {
        let target = super::vectors::bytes(&vector["target"]);
        let path = vector.get("normalised").map(super::vectors::bytes);
        let path = path.map(|path| String::from_utf8(path).expect("a canonical path"));
        let mut row = row(&json!({ "id": vector["id"], "expect": path.as_deref().unwrap_or("refused") }));
        row.target = target.into_iter().map(char::from).collect();
        let answered = over_grpc(&house, &row).await;
        judge(&row, "envoy_grpc", &[], &answered);
    }
}

#[test]
fn nothing_of_the_catalogue_is_left_out() {
    let rows: Vec<Value> = serde_json::from_str(ROWS).expect("the rows");
    let paths: Vec<Value> = serde_json::from_str(PATHS).expect("the table");
    let known: BTreeSet<String> = rows.iter().chain(&paths).map(|row| text(&row["id"])).collect();
    let missing: Vec<&str> = IDS.split_whitespace().filter(|id| !known.contains(*id)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(IDS.split_whitespace().count(), 193);
    assert_eq!(known.len(), rows.len() + paths.len(), "an id is there twice");
}
