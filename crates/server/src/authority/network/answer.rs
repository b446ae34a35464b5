//! Answers in Magpie's form: an object with `code`, `detail` and `type`, and what else there is to say.

use authority::{NodeJwtRefusal, StoreError};
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use model::Reply;
use serde_json::{Map, Value, json};

use crate::authority::asking::Denied;

/// No, and why. Nothing of it is secret.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Yes: `content` is an object, or null.
pub(super) fn fine(status: StatusCode, detail: &str, content: Value) -> Response {
    let mut body = match content {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    body.insert("code".to_owned(), status.as_u16().into());
    body.insert("detail".to_owned(), detail.into());
    body.insert("type".to_owned(), "application/json".into());
    let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(Value::Object(body))).into_response()
}

impl Failure {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The policies say no; that is recorded already.
    pub(super) fn denied(denied: &Denied) -> Self {
        let mut id = [0; 36];
        let Reply::Deny {
            status,
            body,
            headers,
            ..
        } = denied.0.reply(denied.0.id().encode(&mut id))
        else {
            return Self::new(StatusCode::FORBIDDEN, "");
        };
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            let ours = ["content-type", "content-length", "cache-control"].contains(&name.as_str());
            (!ours).then_some((name, HeaderValue::from_str(value).ok()?))
        });
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN),
            detail: body.to_string(),
            headers: headers.collect(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::new(StatusCode::CONFLICT, "There is one already."),
            StoreError::NotFound => Self::new(StatusCode::NOT_FOUND, "There is none."),
            StoreError::Invalid(why) => Self::bad(format!("This cannot be: {why}.")),
            StoreError::Unavailable(why) => {
                tracing::warn!(why, "network mode: the store does not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The store does not answer right now.",
                )
            }
        }
    }
}

impl From<NodeJwtRefusal> for Failure {
    fn from(refusal: NodeJwtRefusal) -> Self {
        match refusal {
            NodeJwtRefusal::Malformed(why) | NodeJwtRefusal::Invalid(why) => {
                Self::bad(format!("The token cannot be accepted: it {why}."))
            }
            NodeJwtRefusal::KeysUnavailable(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The keys of the node that the token is from cannot be had.",
            ),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = fine(self.status, &self.detail, json!({}));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}
