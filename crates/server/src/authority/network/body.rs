//! Bodies and queries of requests: JSON or forms, small ones.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::request::Parts;
use reqwest::Url;
use serde_json::{Map, Value};

use super::answer::Failure;

/// Largest body.
const MAX_BYTES: usize = 64 * 1024;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body that has come, in time and not too large.
pub(super) async fn received(body: Body) -> Result<Body, Failure> {
    Ok(read(body).await?.into())
}

async fn read(body: Body) -> Result<Bytes, Failure> {
    let read = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, MAX_BYTES));
    let Ok(read) = read.await else {
        return Err(Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "The body did not come in time.",
        ));
    };
    read.map_err(|_| Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."))
}

/// The members of a body, or the parameters of a query.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Of a body: a JSON object, or a form if the request says so. No body has no members.
    pub(super) async fn of_body(parts: &Parts, body: Body) -> Result<Self, Failure> {
        let body = read(body).await?;
        if body.is_empty() {
            return Ok(Self::default());
        }
        let content_type = parts.headers.get("content-type").and_then(|it| it.to_str().ok());
        let media_type = content_type
            .and_then(|it| it.split(';').next())
            .unwrap_or_default()
            .trim();
        if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let form = std::str::from_utf8(&body).map_err(|_| Failure::bad("The form is not UTF-8."))?;
            return Self::of_query(Some(form));
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            _ => Err(Failure::bad("The body is neither a JSON object nor a form.")),
        }
    }

    /// Of a query. A parameter twice is refused: which one is meant would be a guess.
    pub(super) fn of_query(query: Option<&str>) -> Result<Self, Failure> {
        let mut members = Map::new();
        if let (Some(query), Ok(mut url)) = (query, Url::parse("http://localhost/")) {
            url.set_query(Some(query));
            for (name, value) in url.query_pairs() {
                if members
                    .insert(name.into_owned(), value.into_owned().into())
                    .is_some()
                {
                    return Err(Failure::bad("A parameter is there twice."));
                }
            }
        }
        Ok(Self(members))
    }

    /// A text, if it is there; null is not there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::bad(format!("`{name}` is not a text."))),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?
            .ok_or_else(|| Failure::bad(format!("`{name}` is missing.")))
    }

    /// A list of texts: as JSON has it, or as text with JSON or with blanks between.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let parsed;
        let value = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::Array(listed)) => {
                    parsed = Value::Array(listed);
                    &parsed
                }
                _ => return Ok(Some(text.split_whitespace().map(str::to_owned).collect())),
            },
            Some(value) => value,
        };
        let texts = value.as_array().and_then(|listed| {
            let texts = listed.iter().map(|it| it.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>()
        });
        let failed = || Failure::bad(format!("`{name}` is not a list of texts."));
        texts.ok_or_else(failed).map(Some)
    }

    /// True if it says so.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => {
                let text = text.to_ascii_lowercase();
                matches!(&*text, "true" | "t" | "yes" | "y" | "on" | "1")
            }
            _ => false,
        }
    }

    /// Whatever is there.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}
