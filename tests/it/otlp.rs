//! Traces and decision records at a collector: one that takes OTLP over HTTP and over gRPC, and keeps what comes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use portcullis::ask::Question;
use prost::Message as _;
use proto::envoy::service::auth::v3::CheckRequest;
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tokio::net::TcpListener;

use crate::house::until;
use crate::served::Served;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CONFIG: &str = r#"
listen: { envoy_grpc: 127.0.0.1:0 }
admin: 127.0.0.1:0
policies: { schema: [schema.cedarschema], files: [public.cedar] }
routes: [{ path: "/public/{rest..}", methods: [GET, HEAD], resource: { type: PublicPage } }]
"#;
const SPAN: &str = "b7ad6b7169203331";

/// A collector, and what came.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Came>>);

#[derive(Default)]
struct Came {
    spans: Vec<Span>,
    records: Vec<LogRecord>,
    /// Names of services, and the header that was asked for.
    senders: Vec<(String, Option<String>)>,
    refused: usize,
    refuse: bool,
}

impl Collector {
    async fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answering = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collector = answering.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| collector.clone().answer(request));
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (collector, address)
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
        let (head, body) = request.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let is_grpc = head.headers["content-type"]
            .as_bytes()
            .starts_with(b"application/grpc");
        let message = if is_grpc { bytes.slice(5..) } else { bytes };
        let secret = head.headers.get("x-tenant");
        let secret = secret.map(|value| value.to_str().expect("text").to_owned());
        let refused = self.keep(head.uri.path(), message, secret);
        // An empty answer: nothing was rejected.
        let frames: Vec<Result<Frame<Bytes>, Infallible>> = match is_grpc {
            true => {
                let mut trailers = HeaderMap::new();
                trailers.insert(
                    "grpc-status",
                    HeaderValue::from_static(if refused { "3" } else { "0" }),
                );
                let frame = Frame::data(Bytes::from_static(&[0, 0, 0, 0, 0]));
                vec![Ok(frame), Ok(Frame::trailers(trailers))]
            }
            false => Vec::new(),
        };
        let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
        let kind = if is_grpc {
            "application/grpc"
        } else {
            "application/x-protobuf"
        };
        response
            .headers_mut()
            .insert("content-type", HeaderValue::from_static(kind));
        if refused && !is_grpc {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        Ok(response)
    }

    /// True if it is refused.
    fn keep(&self, path: &str, message: Bytes, header: Option<String>) -> bool {
        let mut came = self.0.lock().expect("the lock");
        if came.refuse {
            came.refused += 1;
            return true;
        }
        match path {
            "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                let request = ExportTraceServiceRequest::decode(message).expect("spans");
                for of_resource in request.resource_spans {
                    let resource = of_resource.resource.expect("a resource");
                    came.senders
                        .push((text(&resource.attributes, "service.name"), header.clone()));
                    let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    came.spans.extend(spans);
                }
            }
            "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                let request = ExportLogsServiceRequest::decode(message).expect("log records");
                let scopes = request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
                came.records.extend(scopes.flat_map(|scope| scope.log_records));
            }
            other => panic!("nobody sends to {other}"),
        }
        false
    }
}

fn value(value: &AnyValue) -> String {
    match value.value.as_ref() {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => {
            let values: Vec<String> = list.values.iter().map(self::value).collect();
            values.join(" ")
        }
        other => format!("{other:?}"),
    }
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|pair| pair.key == name);
    found
        .and_then(|pair| pair.value.as_ref())
        .map_or_else(String::new, value)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks about a request that belongs to one trace, in a call that may belong to another.
async fn ask(served: &Served, path: &str, traceparent: &str, of_call: Option<&str>) {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: path.to_owned(),
        headers: vec![header("x-request-id", "one"), header("traceparent", traceparent)],
    };
    let message = CheckRequest::decode(&*question.encode()).expect("a message");
    let mut call = tonic::Request::new(message);
    if let Some(traceparent) = of_call {
        let value = traceparent.parse().expect("a value");
        call.metadata_mut().insert("traceparent", value);
    }
    let address = format!("http://{}", served.grpc());
    let endpoint = tonic::transport::Endpoint::from_shared(address).expect("an address");
    let mut client = AuthorizationClient::new(endpoint.connect().await.expect("a connection"));
    client.check(call).await.expect("an answer");
}

/// Spans and log records of an allow and two denials, over both protocols.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_spans_and_records() {
    for protocol in ["http/protobuf", "grpc"] {
        let (collector, address) = Collector::start().await;
        let endpoint = format!("http://{address}");
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue"),
            ("OTEL_SERVICE_NAME", "gate"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ];
        let config = format!("{CONFIG}measure_steps_every: 1\ndecision_log: {{ to: otlp }}\n");
        let served = Served::start(&config, &[], &environment).await;
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let unsent = format!("00-{TRACE}-{SPAN}-00");
        // The call counts before the request.
        ask(&served, "/public/hello", &unsent, Some(&parent)).await;
        ask(&served, "/nowhere", "00-nonsense", None).await;
        // Whoever asked does not send this trace.
        ask(&served, "/public/hello", &unsent, None).await;
        until("three records and two traces came", async || {
            let came = collector.0.lock().expect("the lock");
            let checks = came.spans.iter().filter(|span| span.name == "check");
            came.records.len() == 3 && checks.count() == 2
        })
        .await;
        let came = collector.0.lock().expect("the lock");
        for (name, header) in &came.senders {
            assert_eq!((name.as_str(), header.as_deref()), ("gate", Some("blue")));
        }
        let is = |span: &&Span, verdict: &str| text(&span.attributes, "portcullis.verdict") == verdict;
        let allow = came
            .spans
            .iter()
            .find(|span| is(span, "allow"))
            .expect("an allow");
        assert_eq!(
            (hex(&allow.trace_id), hex(&allow.parent_span_id)),
            (TRACE.into(), SPAN.into())
        );
        assert_eq!(allow.kind, SpanKind::Server as i32);
        assert!(allow.start_time_unix_nano < allow.end_time_unix_nano);
        for (name, expected) in [
            ("portcullis.reason", "permitted"),
            ("portcullis.route", "/public/{rest..}"),
            ("portcullis.contract", "envoy_grpc"),
        ] {
            assert_eq!(text(&allow.attributes, name), expected, "{name}");
        }
        assert_ne!(text(&allow.attributes, "portcullis.policies"), "");
        let steps = came
            .spans
            .iter()
            .filter(|span| span.parent_span_id == allow.span_id);
        let steps: Vec<&str> = steps.map(|span| &*span.name).collect();
        assert_eq!(steps, ["gate", "identity", "route", "policies", "answer"]);
        let deny = came.spans.iter().find(|span| is(span, "deny")).expect("a denial");
        assert_ne!(hex(&deny.trace_id), TRACE, "a trace of its own");
        assert_eq!(deny.parent_span_id, [0u8; 0]);
        let body = |record: &LogRecord| match record.body.as_ref().and_then(|body| body.value.clone()) {
            Some(Value::KvlistValue(members)) => members.values,
            other => panic!("{other:?}"),
        };
        for span in [allow, deny] {
            let id = text(&span.attributes, "portcullis.decision_id");
            let record = came
                .records
                .iter()
                .find(|record| text(&body(record), "decision_id") == id);
            let record = record.expect("the record of the span");
            assert_eq!(
                (&record.trace_id, &record.span_id),
                (&span.trace_id, &span.span_id)
            );
            assert_eq!(text(&body(record), "trace_id"), hex(&span.trace_id));
            assert_eq!(text(&body(record), "request_id"), "one");
            assert_eq!(record.event_name, "portcullis.decision");
        }
    }
}

/// Nobody waits for a collector that is not there, nothing ends, and what is lost is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_costs_records_only() {
    let (collector, address) = Collector::start().await;
    collector.0.lock().expect("the lock").refuse = true;
    let endpoint = format!("http://{address}");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "10"),
    ];
    let config = format!("{CONFIG}\ndecision_log: {{ to: otlp, file: decisions }}\n");
    let served = Served::start(&config, &[], &environment).await;
    for _ in 0..3 {
        ask(&served, "/public/hello", "", None).await;
    }
    until("it was refused, and said", async || {
        served
            .log()
            .contains("decision records could not be written and are lost")
            && collector.0.lock().expect("the lock").refused > 0
    })
    .await;
    until("the file has them all", async || {
        served.decisions().lines().count() == 3
    })
    .await;
    collector.0.lock().expect("the lock").refuse = false;
    ask(&served, "/public/hello", "", None).await;
    until("the next one came", async || {
        !collector.0.lock().expect("the lock").records.is_empty()
    })
    .await;
}
