//! What the issuer serves: its discovery document and its keys, in whatever mood it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::super::keys::{KeyError, KeyKind, SigningKey};
use super::Answer;

/// What the routes and the test that controls the issuer both hold.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) issuer: String,
    pub(super) ring: Mutex<Ring>,
    pub(super) answer: Mutex<Answer>,
    pub(super) fetches: AtomicUsize,
    pub(super) discoveries: AtomicUsize,
}

/// The newest key of each kind, and the old ones that are still published.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) rs256: Arc<SigningKey>,
    pub(super) ps256: Arc<SigningKey>,
    pub(super) es256: Arc<SigningKey>,
    pub(super) es384: Arc<SigningKey>,
    pub(super) eddsa: Arc<SigningKey>,
    pub(super) old: Vec<Arc<SigningKey>>,
    pub(super) rotations: u32,
}

impl Shared {
    pub(super) fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.issuer)
    }
}

impl Ring {
    pub(super) fn generate() -> Result<Self, KeyError> {
        let key = |kind, kid: &str| SigningKey::generate(kind, kid).map(Arc::new);
        Ok(Self {
            rs256: key(KeyKind::Rs256, "rsa-1")?,
            ps256: key(KeyKind::Ps256, "pss-1")?,
            es256: key(KeyKind::Es256, "p256-1")?,
            es384: key(KeyKind::Es384, "p384-1")?,
            eddsa: key(KeyKind::EdDsa, "ed-1")?,
            old: Vec::new(),
            rotations: 0,
        })
    }

    pub(super) fn jwks(&self) -> Value {
        let newest = [&self.rs256, &self.ps256, &self.es256, &self.es384, &self.eddsa];
        let keys: Vec<Value> = newest.into_iter().chain(&self.old).map(|key| key.jwk()).collect();
        json!({ "keys": keys })
    }
}

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .with_state(Arc::clone(shared))
}

/// OpenID Connect Discovery 1.0 section 3: the required members.
async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    shared.discoveries.fetch_add(1, Ordering::Relaxed);
    let answer = lock(&shared.answer).clone();
    match answer {
        Answer::Unavailable => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Answer::Never => std::future::pending().await,
        Answer::Keys | Answer::Slow(_) | Answer::Body(_) => {}
    }
    let issuer = &shared.issuer;
    let algs: Vec<&str> = KeyKind::ALL.iter().map(|kind| kind.alg()).collect();
    axum::Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": shared.jwks_uri(),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algs,
    }))
    .into_response()
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    shared.fetches.fetch_add(1, Ordering::Relaxed);
    let answer = lock(&shared.answer).clone();
    let body = match answer {
        Answer::Unavailable => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Answer::Never => std::future::pending().await,
        Answer::Body(body) => body,
        Answer::Slow(pause) => {
            tokio::time::sleep(pause).await;
            lock(&shared.ring).jwks().to_string()
        }
        Answer::Keys => lock(&shared.ring).jwks().to_string(),
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A panic elsewhere leaves nothing half-done behind these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
