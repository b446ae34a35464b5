//! Refusals of the token endpoint (RFC 6749 section 5.2, RFC 8693 section 2.2.2).

use axum::Json;
use axum::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why there is no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    /// For the caller: what to change. Nothing that only the log may say.
    pub(super) description: String,
    /// For the log.
    pub(super) log: String,
}

/// The values of `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
    /// It may work later.
    TemporarilyUnavailable,
}

impl Code {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl Refusal {
    /// One that the caller may know all about.
    pub(super) fn told(code: Code, description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            code,
            log: description.clone(),
            description,
        }
    }

    /// One whose reason is for the log.
    pub(super) fn untold(code: Code, description: &str, log: impl Into<String>) -> Self {
        Self {
            code,
            description: description.to_owned(),
            log: log.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // RFC 6749 section 5.2 allows no `"` and no `\` in a description, and nothing but ASCII.
        let plain = |c: char| c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\'));
        let description: String = self
            .description
            .chars()
            .map(|c| if plain(c) { c } else { '\'' })
            .collect();
        let body = json!({"error": self.code.as_str(), "error_description": description});
        let mut response = (self.code.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == Code::InvalidClient {
            let challenge = HeaderValue::from_static("Bearer realm=\"portcullis\", error=\"invalid_token\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
