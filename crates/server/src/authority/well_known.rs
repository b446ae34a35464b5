//! What others need to know of the house: where its endpoints are and which keys sign its tokens (RFC 8414, RFC 7517).

use std::sync::Arc;

use authority::DelegationSettings;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use decide::Pipeline;
use serde_json::{Value, json};

use super::token_endpoint::TOKEN_EXCHANGE;

/// For how long others may keep the keys. New keys are published for longer than that before they sign.
const KEPT: &str = "public, max-age=60";

/// `GET /jwks` and the discovery documents of the issuer with that URL.
pub(crate) fn routes(pipeline: &Arc<Pipeline>, issuer: &str, settings: &DelegationSettings) -> Router {
    let document = Arc::new(document(issuer, settings));
    let pipeline = Arc::clone(pipeline);
    let discovery = move || {
        let document = Arc::clone(&document);
        async move { published(&document) }
    };
    let keys = move || {
        let keys = jwks(&pipeline);
        async move { published(&keys) }
    };
    // An issuer with a path has it behind (RFC 8414 section 3) or before (OpenID Connect Discovery section 4).
    let path = issuer
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'));
    let path = path
        .map(|(_, path)| path.trim_end_matches('/'))
        .filter(|path| !path.is_empty());
    let mut router = Router::new()
        .route("/jwks", get(keys))
        .route("/.well-known/oauth-authorization-server", get(discovery.clone()))
        .route("/.well-known/openid-configuration", get(discovery.clone()));
    if let Some(path) = path.filter(|path| !path.contains(['{', '}'])) {
        for place in [
            format!("/.well-known/oauth-authorization-server/{path}"),
            format!("/{path}/.well-known/openid-configuration"),
        ] {
            router = router.route(&place, get(discovery.clone()));
        }
    }
    router
}

fn document(issuer: &str, settings: &DelegationSettings) -> Value {
    let base = issuer.trim_end_matches('/');
    let mut document = json!({
        "issuer": issuer,
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/jwks"),
        "grant_types_supported": [TOKEN_EXCHANGE],
        "response_types_supported": [],
        // A token of the client's own in the Authorization header: none of the registered methods.
        "token_endpoint_auth_methods_supported": ["bearer"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "claims_supported": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "scope", "act", "portcullis"],
    });
    if let (Some(scopes), Some(members)) = (&settings.scopes, document.as_object_mut()) {
        members.insert("scopes_supported".to_owned(), json!(scopes));
    }
    document
}

/// The keys of delegated tokens (RFC 8037 section 2).
fn jwks(pipeline: &Pipeline) -> Value {
    let view = pipeline.house_view();
    let keys = view.keys.iter().map(|key| {
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": URL_SAFE_NO_PAD.encode(key.public)})
    });
    json!({"keys": keys.collect::<Vec<_>>()})
}

fn published(document: &Value) -> Response {
    ([(CACHE_CONTROL, KEPT)], Json(document)).into_response()
}
