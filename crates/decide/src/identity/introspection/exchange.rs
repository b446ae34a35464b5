//! One question to an introspection endpoint (RFC 7662 section 2.1), and what its answer means (section 2.2).

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{IntrospectionSettings, Outcome};
use crate::identity::claims::{self, Claims};
use crate::identity::fetch::{self, FetchFailure};
use crate::identity::json;
use crate::identity::refusal::TokenRefusal;

/// Longest answer.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Why there is no answer that could be used. No text here has anything of the token or the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::identity) enum IntrospectionFailure {
    /// No answer, or one that is not 200, or too long.
    #[error(transparent)]
    Exchange(FetchFailure),
    /// The answer is not JSON, or JSON that two parsers could read differently.
    #[error("the answer is not strict JSON")]
    NotJson,
    /// RFC 7662 section 2.2: `active` is required and a boolean.
    #[error("the answer is no object with a boolean `active`")]
    NoVerdict,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The endpoint is out of order, or does not let us ask.
    Endpoint,
    /// The endpoint is out of order, or it stumbles over this one token.
    Either,
    /// It is about this token only.
    Token,
}

impl IntrospectionFailure {
    /// Whose fault it is. What a strange token alone can bring about is no reason to leave the endpoint alone: whoever has
    /// such a token could keep all others from being asked about.
    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::Exchange(FetchFailure::Status { status, .. }) => match *status {
                400 | 413 | 414 | 422 | 431 => Blame::Token,
                429 | 500..=599 => Blame::Either,
                _ => Blame::Endpoint,
            },
            Self::Exchange(FetchFailure::Timeout(_)) => Blame::Either,
            Self::Exchange(FetchFailure::TooLarge { .. }) => Blame::Token,
            Self::Exchange(_) => Blame::Endpoint,
            Self::NotJson | Self::NoVerdict => Blame::Token,
        }
    }

    /// What it means for the token.
    pub(in crate::identity) fn refusal(&self) -> TokenRefusal {
        TokenRefusal::IntrospectionUnavailable(self.to_string())
    }
}

/// Where and as whom to ask.
pub(super) struct Endpoint {
    /// Short name.
    pub(super) name: String,
    url: String,
    client_id: String,
    client_secret: SecretString,
    cache: Duration,
    patience: Duration,
    /// Made at the first question, so that what keeps it from being made can be mended.
    client: OnceLock<Client>,
}

impl Endpoint {
    pub(super) fn new(settings: &IntrospectionSettings) -> Self {
        Self {
            name: settings.name.clone(),
            url: settings.url.clone(),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            cache: settings.cache(),
            patience: settings.patience(),
            client: OnceLock::new(),
        }
    }

    /// Asks about a token; takes at most the configured time.
    pub(super) async fn ask(&self, token: &str) -> Outcome {
        let asked = Instant::now();
        match tokio::time::timeout(self.patience, self.exchange(token)).await {
            Ok(Ok(body)) => read(&body, asked, self.cache, SystemTime::now()),
            Ok(Err(failure)) => Outcome::Failed(IntrospectionFailure::Exchange(failure)),
            Err(_) => Outcome::Failed(IntrospectionFailure::Exchange(FetchFailure::Timeout(
                self.patience,
            ))),
        }
    }

    async fn exchange(&self, token: &str) -> Result<Vec<u8>, FetchFailure> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let authorities = match self.url.starts_with("http:") {
                    true => fetch::Authorities::Dispensable,
                    false => fetch::Authorities::Needed,
                };
                // A little more: that nothing came in time shall be told as just that.
                let built = fetch::client_for(authorities, self.patience + Duration::from_secs(1))?;
                self.client.get_or_init(|| built)
            }
        };
        let request = client
            .post(&self.url)
            .basic_auth(
                form_encoded(&self.client_id),
                Some(form_encoded(self.client_secret.expose_secret())),
            )
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!(
                "token={}&token_type_hint=access_token",
                form_encoded(token)
            ));
        fetch::body(request, self.url.clone(), MAX_BYTES).await
    }
}

/// Without the secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The meaning of an answer with status 200. It is believed for `cache` from when it was `asked` for, but not beyond
/// its `exp`.
fn read(body: &[u8], asked: Instant, cache: Duration, now: SystemTime) -> Outcome {
    let Ok(answer) = json::parse(body) else {
        return Outcome::Failed(IntrospectionFailure::NotJson);
    };
    let Value::Object(claims) = answer else {
        return Outcome::Failed(IntrospectionFailure::NoVerdict);
    };
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Outcome::Inactive,
        _ => return Outcome::Failed(IntrospectionFailure::NoVerdict),
    }
    let left = match Claims(&claims).time("exp") {
        Ok(Some(exp)) => Duration::try_from_secs_f64(exp - claims::unix_seconds(now)).unwrap_or_default(),
        // What is no time is refused when the claims are checked.
        Ok(None) | Err(_) => cache,
    };
    let believed_until = (asked + cache).min(Instant::now() + left.min(cache));
    Outcome::Active {
        claims,
        believed_until,
    }
}

/// `application/x-www-form-urlencoded` (RFC 6749 appendix B).
pub(super) fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(byte.into()),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
