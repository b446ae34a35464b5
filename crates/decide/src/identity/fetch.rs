//! One attempt to get an issuer's keys: over HTTP, after discovery if need be, or from a file.
//!
//! No redirects, no proxy from the environment, no decompression, bodies limited while they are read. Nothing in a
//! token has any influence on what is fetched.

use std::error::Error as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The issuer, exactly as configured.
    pub(super) issuer: String,
    /// Where its keys are.
    pub(super) place: Place,
}

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the issuer's discovery document says.
    Discovery,
    /// At the first of these URLs that has a usable key set.
    Urls(Vec<String>),
    /// In this file.
    File(PathBuf),
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
    #[error("cannot read {}: {why}", path.display())]
    File { path: PathBuf, why: String },
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
    let plain = match &source.place {
        Place::Discovery => source.issuer.starts_with("http:"),
        Place::Urls(urls) => urls.iter().all(|url| url.starts_with("http:")),
        Place::File(_) => true,
    };
    let authorities = if plain {
        Authorities::Dispensable
    } else {
        Authorities::Needed
    };
    client_for(authorities, patience)
}

/// Whether certificate authorities are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authorities {
    /// For `https`.
    Needed,
    /// For plain http on this very host: a container may have none.
    Dispensable,
}

/// A client that sends to where it is told and nowhere else.
///
/// # Errors
/// [`FetchFailure::Client`], when the system has no certificate authorities and some are needed.
pub(super) fn client_for(authorities: Authorities, patience: Duration) -> Result<Client, FetchFailure> {
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
        Err(_) if authorities == Authorities::Dispensable => builder().tls_certs_only([]).build(),
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
        match &source.place {
            Place::Discovery => {
                let url = discover(client, &source.issuer).await?;
                Ok(KeySet::parse(&get(client, url, jwks::MAX_BYTES).await?)?)
            }
            Place::Urls(urls) => first_of(client, urls, patience).await,
            Place::File(path) => Ok(KeySet::parse(&read(path).await?)?),
        }
    };
    match tokio::time::timeout(patience, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(FetchFailure::Timeout(patience)),
    }
}

/// The keys at the first URL that has some; each gets its share of `patience`. A published private key ends the search:
/// no other copy of the keys is any better.
async fn first_of(
    client: &Client,
    urls: &[String],
    patience: Duration,
) -> Result<(KeySet, Vec<Skipped>), FetchFailure> {
    let share = patience / u32::try_from(urls.len().max(1)).unwrap_or(u32::MAX);
    let mut failure = FetchFailure::Discovery("no URL is configured".to_owned());
    for url in urls {
        let attempt = async {
            Ok(KeySet::parse(
                &get(client, acceptable(url)?, jwks::MAX_BYTES).await?,
            )?)
        };
        failure = match tokio::time::timeout(share, attempt).await {
            Ok(Ok(keys)) => return Ok(keys),
            Ok(Err(leaked @ FetchFailure::Jwks(JwksRefusal::PrivateKey(_)))) => return Err(leaked),
            Ok(Err(other)) => other,
            Err(_) => FetchFailure::Timeout(share),
        };
    }
    Err(failure)
}

async fn read(path: &Path) -> Result<Vec<u8>, FetchFailure> {
    let failed = |why: String| FetchFailure::File {
        path: path.to_owned(),
        why,
    };
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut document = Vec::new();
        let limit = jwks::MAX_BYTES as u64 + 1;
        File::open(owned)?.take(limit).read_to_end(&mut document)?;
        Ok::<_, std::io::Error>(document)
    });
    let document = read.await.map_err(|e| failed(e.to_string()))?;
    let document = document.map_err(|e| failed(e.to_string()))?;
    if document.len() > jwks::MAX_BYTES {
        return Err(failed(format!("it has more than {} bytes", jwks::MAX_BYTES)));
    }
    Ok(document)
}

/// OpenID Connect Discovery 1.0, sections 4.1 and 4.3.
async fn discover(client: &Client, issuer: &str) -> Result<Url, FetchFailure> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = acceptable(&format!("{base}/.well-known/openid-configuration"))?;
    let origin = url.origin();
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
    // Another port is another server, with other people's keys.
    if url.origin() != origin {
        return Err(refused(
            "is another scheme, host or port than the issuer's; set `jwks_uri` if that is meant",
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
