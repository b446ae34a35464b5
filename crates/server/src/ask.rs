//! Asking over gRPC, as Envoy does: for `check --server` and the demo.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use proto::envoy::service::auth::v3::check_response::HttpResponse;
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use proto::google::protobuf::value::Kind;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Endpoint, Uri};
use tower_service::Service;

const CONNECT: Duration = Duration::from_secs(5);
/// Longer than any proxy waits.
const ANSWER: Duration = Duration::from_secs(30);

/// A request to ask about.
#[derive(Clone, Debug)]
pub struct Question {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host, with its port if there is one.
    pub host: String,
    /// Path and query as they would be on the wire.
    pub target: String,
    /// Names in lower case, with values.
    pub headers: Vec<(String, String)>,
}

/// What a server answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// True if the request passes.
    pub allowed: bool,
    /// HTTP status: 200, or that of the denial.
    pub status: u16,
    /// Headers that the upstream gets (allow), or the client (deny).
    pub headers: Vec<(String, String)>,
    /// Headers of the request that are removed.
    pub removed: Vec<String>,
    /// Class of the reason.
    pub reason: String,
    /// The policies that determined the answer.
    pub policies: Vec<String>,
    /// The name of the decision in the server's log.
    pub decision_id: String,
    /// The version of the rules.
    pub version: String,
}

/// Asks the server at `address` (`host:port`).
///
/// # Errors
/// No connection, or the call fails; a denial is not an error.
pub async fn over_grpc(
    address: &str,
    question: Question,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    over(address, None, question).await
}

/// Asks the server at `address` (`host:port`, or that after `http://` or `https://`), inside TLS if that is given.
///
/// # Errors
/// No connection, or the call fails; a denial is not an error.
pub async fn over(
    address: &str,
    tls: Option<ClientConfig>,
    question: Question,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (_, authority) = address.split_once("://").unwrap_or(("", address));
    let endpoint = Endpoint::from_shared(format!("http://{}", authority.trim_end_matches('/')))?
        .connect_timeout(CONNECT)
        .timeout(ANSWER);
    let channel = match tls {
        None => endpoint.connect().await?,
        Some(mut config) => {
            config.alpn_protocols = vec![b"h2".to_vec()];
            let connector = Encrypted(TlsConnector::from(Arc::new(config)));
            tokio::time::timeout(CONNECT, endpoint.connect_with_connector(connector)).await??
        }
    };
    let mut client = AuthorizationClient::new(channel);
    Ok(read(client.check(question.into_check()).await?.into_inner()))
}

/// Connects inside TLS.
#[derive(Clone)]
struct Encrypted(TlsConnector);

impl Service<Uri> for Encrypted {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move {
            let host = to.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let stream = TcpStream::connect((host.as_str(), to.port_u16().unwrap_or(443))).await?;
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            Ok(TokioIo::new(connector.connect(name, stream).await?))
        })
    }
}

impl Question {
    /// The bytes of the `CheckRequest`.
    pub fn encode(self) -> Vec<u8> {
        prost::Message::encode_to_vec(&self.into_check())
    }

    /// The `CheckRequest` that Envoy would send; several headers of one name are joined as Envoy joins them.
    fn into_check(self) -> CheckRequest {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in self.headers {
            headers
                .entry(name)
                .and_modify(|joined| {
                    joined.push(',');
                    joined.push_str(&value);
                })
                .or_insert(value);
        }
        let http = HttpRequest {
            method: self.method,
            scheme: self.scheme,
            host: self.host,
            path: self.target,
            headers,
            ..HttpRequest::default()
        };
        CheckRequest {
            attributes: Some(AttributeContext {
                request: Some(Request { http: Some(http) }),
                ..AttributeContext::default()
            }),
        }
    }
}

fn read(response: CheckResponse) -> Answer {
    let mut answer = Answer {
        // A missing status is an allow to Envoy, so it is one here.
        allowed: response.status.as_ref().is_none_or(|status| status.code == 0),
        ..Answer::default()
    };
    let text = |value: &proto::google::protobuf::Value| match &value.kind {
        Some(Kind::StringValue(text)) => text.clone(),
        _ => String::new(),
    };
    for (key, value) in response.dynamic_metadata.unwrap_or_default().fields {
        match (key.as_str(), &value.kind) {
            ("reason", _) => answer.reason = text(&value),
            ("decision_id", _) => answer.decision_id = text(&value),
            ("version", _) => answer.version = text(&value),
            ("policies", Some(Kind::ListValue(list))) => {
                answer.policies = list.values.iter().map(text).collect()
            }
            _ => {}
        }
    }
    let (status, headers) = match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => {
            answer.removed = ok.headers_to_remove;
            (200, ok.headers)
        }
        Some(HttpResponse::DeniedResponse(denied)) => {
            (denied.status.map_or(403, |status| status.code), denied.headers)
        }
        None => (if answer.allowed { 200 } else { 403 }, Vec::new()),
    };
    answer.status = u16::try_from(status).unwrap_or(403);
    answer.headers = headers
        .into_iter()
        .filter_map(|h| h.header)
        .map(|h| (h.key, h.value))
        .collect();
    answer
}
