//! Why a verb was not done, as gRPC and as JSON say it.

use authority::StoreError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{DECISION_ID_HEADER, Verdict};
use serde::Serialize;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::authority::asking::Denied;

/// Why a verb was not done.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The policies say no; it is recorded.
    Denied(Box<Denied>),
    /// The request makes no sense; it was not decided or done.
    Invalid(String),
    /// The store says no, or nothing.
    Store(StoreError),
}

/// The body of an error: problem details (RFC 9457).
#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<&'a str>,
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Denied(Box::new(denied))
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Denied(denied) => match denied.0.verdict() {
                Verdict::Deny(denial) => StatusCode::from_u16(denial.status).unwrap_or(StatusCode::FORBIDDEN),
                Verdict::Allow(_) => StatusCode::FORBIDDEN,
            },
            Self::Invalid(_) | Self::Store(StoreError::Invalid(_)) => StatusCode::BAD_REQUEST,
            Self::Store(StoreError::NotFound) => StatusCode::NOT_FOUND,
            Self::Store(StoreError::Conflict) => StatusCode::CONFLICT,
            Self::Store(StoreError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> Code {
        match self.status() {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            _ if matches!(self, Self::Denied(_)) => Code::PermissionDenied,
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::CONFLICT => Code::AlreadyExists,
            _ => Code::Unavailable,
        }
    }

    /// For the caller. What is wrong with the store is for the log.
    fn detail(&self) -> &str {
        match self {
            Self::Denied(denied) => match denied.0.verdict() {
                Verdict::Deny(denial) => &denial.caller,
                Verdict::Allow(_) => "denied",
            },
            Self::Invalid(why) | Self::Store(StoreError::Invalid(why)) => why,
            Self::Store(StoreError::NotFound) => "there is no such thing",
            Self::Store(StoreError::Conflict) => "there is one already",
            Self::Store(StoreError::Unavailable(_)) => {
                "the store does not answer; whether a change was made is not known"
            }
        }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let mut status = Self::new(refused.code(), refused.detail());
        if let Refused::Denied(denied) = &refused {
            let mut id = [0; 36];
            if let Ok(id) = MetadataValue::try_from(denied.0.id().encode(&mut id)) {
                status.metadata_mut().insert(DECISION_ID_HEADER, id);
            }
        }
        status
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut buffer = [0; 36];
        let decision_id = match &self {
            Self::Denied(denied) => Some(denied.0.id().encode(&mut buffer)),
            _ => None,
        };
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
            decision_id,
        };
        let mut response = (status, Json(&problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(Ok(id)) = decision_id.map(HeaderValue::from_str) {
            headers.insert(DECISION_ID_HEADER, id);
        }
        if let Self::Denied(denied) = &self
            && let Verdict::Deny(denial) = denied.0.verdict()
            && let Some(Ok(challenge)) = denial.challenge.as_deref().map(HeaderValue::from_str)
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
