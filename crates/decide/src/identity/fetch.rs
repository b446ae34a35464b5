//! One attempt to get an issuer's keys over HTTP: discovery if need be, then the JWKS.
//!
//! No redirects, no proxy from the environment, no decompression, bodies limited while they are read. Nothing in a
//! token has any influence on what is fetched.

use std::error::Error as _;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use super::json;
use super::jwks::{self, JwksRefusal, KeySet, Skipped};
use super::refusal::Quoted;
use super::settings::acceptable_url;

const MAX_DISCOVERY_BYTES: usize = 256 * 1024;
const CONNECT: Duration = Duration::from_secs(2);
/// How long an unused connection is kept: less than the 5 s after which common servers close theirs, so that a request
/// is not sent into a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// Where the keys of one issuer are.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The issuer, exactly as configured.
    pub(super) issuer: String,
    /// Where its keys are; found by discovery if `None`.
    pub(super) jwks_uri: Option<String>,
}

/// Why an attempt brought no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchFailure {
    #[error("no HTTP client: {0}")]
    Client(String),
    #[error("{url}: {why}")]
    Transport { url: String, why: String },
    #[error("{url} answered {status}; only 200 counts, redirects are not followed")]
    Status { url: String, status: u16 },
    #[error("{url} sent more than {limit} bytes")]
    TooLarge { url: String, limit: usize },
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the discovery document is not usable: {0}")]
    Discovery(String),
    #[error("the discovery document is that of issuer {0}")]
    OtherIssuer(Quoted),
    #[error("the discovery document points to keys at {jwks_uri}, which {why}")]
    JwksUri { jwks_uri: Quoted, why: String },
    #[error(transparent)]
    Jwks(#[from] JwksRefusal),
}

/// The client for all attempts of one issuer.
///
/// # Errors
/// [`FetchFailure::Client`], when the system has no certificate authorities and the issuer needs some.
pub(super) fn client(source: &Source, patience: Duration) -> Result<Client, FetchFailure> {
    client_for(source.jwks_uri.as_ref().unwrap_or(&source.issuer), patience)
}

/// A client for requests to the host of `url`.
///
/// # Errors
/// [`FetchFailure::Client`], when the system has no certificate authorities and the URL needs some.
pub(super) fn client_for(url: &str, patience: Duration) -> Result<Client, FetchFailure> {
    let builder = || {
        Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .timeout(patience)
    };
    let client = match builder().build() {
        // A peer on this very host needs no authorities; a container may have none.
        Err(_) if url.starts_with("http:") => builder().tls_certs_only([]).build(),
        built => built,
    };
    client.map_err(|e| FetchFailure::Client(causes(&e)))
}

/// Fetches the keys, within `patience` in all.
///
/// # Errors
/// [`FetchFailure`]: there is no half of a key set.
pub(super) async fn keys(
    client: &Client,
    source: &Source,
    patience: Duration,
) -> Result<(KeySet, Vec<Skipped>), FetchFailure> {
    let attempt = async {
        let url = match &source.jwks_uri {
            Some(configured) => acceptable(configured)?,
            None => discover(client, &source.issuer).await?,
        };
        let document = get(client, url, jwks::MAX_BYTES).await?;
        Ok(KeySet::parse(&document)?)
    };
    match tokio::time::timeout(patience, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(FetchFailure::Timeout(patience)),
    }
}

/// OpenID Connect Discovery 1.0, sections 4.1 and 4.3.
async fn discover(client: &Client, issuer: &str) -> Result<Url, FetchFailure> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = acceptable(&format!("{base}/.well-known/openid-configuration"))?;
    let host = url.host_str().map(str::to_owned);
    let document = get(client, url, MAX_DISCOVERY_BYTES).await?;
    let document = json::parse(&document).map_err(FetchFailure::Discovery)?;
    match document.get("issuer").and_then(Value::as_str) {
        Some(named) if named == issuer => {}
        named => return Err(FetchFailure::OtherIssuer(Quoted::new(named.unwrap_or("")))),
    }
    let Some(jwks_uri) = document.get("jwks_uri").and_then(Value::as_str) else {
        return Err(FetchFailure::Discovery("it has no `jwks_uri`".to_owned()));
    };
    let refused = |why: &str| FetchFailure::JwksUri {
        jwks_uri: Quoted::new(jwks_uri),
        why: why.to_owned(),
    };
    let url = acceptable_url(jwks_uri).map_err(refused)?;
    if url.host_str() != host.as_deref() {
        return Err(refused(
            "is another host than the issuer's; set `jwks_uri` if that is meant",
        ));
    }
    Ok(url)
}

fn acceptable(text: &str) -> Result<Url, FetchFailure> {
    acceptable_url(text).map_err(|why| FetchFailure::Transport {
        url: text.to_owned(),
        why: why.to_owned(),
    })
}

async fn get(client: &Client, url: Url, limit: usize) -> Result<Vec<u8>, FetchFailure> {
    let shown = url.to_string();
    body(client.get(url), shown, limit).await
}

/// Sends a request for JSON to the URL `shown` and reads the answer, at most `limit` bytes.
///
/// # Errors
/// [`FetchFailure`] about the exchange. Nothing of the request is in it but the URL.
pub(super) async fn body(
    request: RequestBuilder,
    shown: String,
    limit: usize,
) -> Result<Vec<u8>, FetchFailure> {
    let transport = |e: reqwest::Error| FetchFailure::Transport {
        url: shown.clone(),
        why: causes(&e.without_url()),
    };
    let mut response: Response = request
        .header("accept", "application/json")
        .send()
        .await
        .map_err(transport)?;
    if response.status() != StatusCode::OK {
        return Err(FetchFailure::Status {
            status: response.status().as_u16(),
            url: shown,
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > limit {
            return Err(FetchFailure::TooLarge { url: shown, limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error and everything behind it: reqwest itself only says "error sending request".
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
