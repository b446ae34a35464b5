//! Requests to other nodes: to URLs that an administrator registered and nowhere else.
//!
//! `https`, or `http` on this very host; no redirects, no proxy from the environment, 5 s in all, answers limited while they
//! are read, and only so many at a time.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::Value;
use tokio::sync::Semaphore;

/// How long another node may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many requests are under way at a time.
const AT_ONCE: usize = 16;
/// Longest URL.
const MAX_URL_BYTES: usize = 2048;

/// Whatever goes out.
#[derive(Debug)]
pub(crate) struct Outbound {
    client: Client,
    places: Semaphore,
}

/// Why another node did not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFailure {
    /// There is no way to send anything.
    #[error("no HTTP client: {0}")]
    Client(String),
    /// It may not be asked there.
    #[error("the URL {0}")]
    Url(&'static str),
    /// There was no answer.
    #[error("{url}: {why}")]
    Transport {
        /// Where.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// It said something else than yes.
    #[error("{url} answered {status}")]
    Status {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is too long.
    #[error("{url} sent more than {limit} bytes")]
    TooLarge {
        /// Where.
        url: String,
        /// Bytes.
        limit: usize,
    },
    /// Its answer has no token.
    #[error("{url} answered without a token")]
    NoToken {
        /// Where.
        url: String,
    },
    /// Others are being asked.
    #[error("too many other requests to nodes are under way")]
    Busy,
}

impl Outbound {
    /// # Errors
    /// [`OutboundFailure::Client`].
    pub(crate) fn new() -> Result<Self, OutboundFailure> {
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .pool_idle_timeout(Duration::from_secs(4))
                .connect_timeout(PATIENCE)
                .timeout(PATIENCE)
        };
        // Where the system has no certificate authorities, nodes on this very host can still be asked.
        let client = builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build());
        Ok(Self {
            client: client.map_err(|error| OutboundFailure::Client(causes(&error)))?,
            places: Semaphore::new(AT_ONCE),
        })
    }

    /// What is there, at most `limit` bytes.
    ///
    /// # Errors
    /// [`OutboundFailure`]
    pub(crate) async fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>, OutboundFailure> {
        self.send(Method::GET, url, |request| request, limit).await
    }

    /// Sends JSON there and reads the answer, at most `limit` bytes.
    ///
    /// # Errors
    /// [`OutboundFailure`]
    pub(crate) async fn json(
        &self,
        method: Method,
        url: &str,
        body: &Value,
        limit: usize,
    ) -> Result<Vec<u8>, OutboundFailure> {
        let body = body.to_string();
        let with = |request: RequestBuilder| request.header("content-type", "application/json").body(body);
        self.send(method, url, with, limit).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
        limit: usize,
    ) -> Result<Vec<u8>, OutboundFailure> {
        let parsed = acceptable_url(url).map_err(OutboundFailure::Url)?;
        let waiting = tokio::time::timeout(PATIENCE, self.places.acquire());
        let Ok(Ok(_place)) = waiting.await else {
            return Err(OutboundFailure::Busy);
        };
        let shown = || url.to_owned();
        let transport = |error: reqwest::Error| OutboundFailure::Transport {
            url: shown(),
            why: causes(&error.without_url()),
        };
        let request = self
            .client
            .request(method, parsed)
            .header("accept", "application/json");
        let mut response = with(request).send().await.map_err(transport)?;
        if !response.status().is_success() {
            return Err(OutboundFailure::Status {
                url: shown(),
                status: response.status().as_u16(),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > limit {
                return Err(OutboundFailure::TooLarge { url: shown(), limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// A URL that may be asked, or that browsers may be sent to.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn acceptable_url(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_URL_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("is longer than 2048 characters, or has some that URLs do not have");
    }
    let url = Url::parse(text).map_err(|_| "cannot be read")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password");
    }
    if url.fragment().is_some() {
        return Err("has a fragment");
    }
    let local = url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if local => Ok(url),
        "http" => Err("is not encrypted, which is only acceptable on this very host: use `https`"),
        _ => Err("is neither `https` nor `http` on this very host"),
    }
}

/// The error and everything behind it.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
