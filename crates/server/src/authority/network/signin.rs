//! Magpie's login by network token. There are no sessions here: the answer says whether the token is good, and it has to come
//! with every request.

use authority::StoreError;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde_json::Value;

use super::answer::{Failure, fine};
use super::{Answer, Shared};

/// The name of the login provider.
const PROVIDER: &str = "magpie_network";

pub(super) async fn signin(State(network): Shared, Path(provider): Path<String>, request: Request) -> Answer {
    if provider != PROVIDER {
        return Err(unknown());
    }
    let refused = |detail: &str| Failure::new(StatusCode::UNAUTHORIZED, detail);
    let header = request
        .headers()
        .get("authorization")
        .and_then(|it| it.to_str().ok());
    let parts: Vec<&str> = header.unwrap_or_default().split_whitespace().collect();
    let [scheme, token] = parts.as_slice() else {
        return Err(refused("There is no network token."));
    };
    if *scheme != "Bearer" {
        return Err(Failure::bad("The scheme of a network token is `Bearer`."));
    }
    // The store says that it is one of ours, and identity whether it counts: in this form, still, and not revoked.
    let given = network.authority.good_network_token(token).await;
    let given = given.map_err(|error| match error {
        StoreError::NotFound => refused("The network token is not good."),
        error => error.into(),
    })?;
    match network.asker.shown(token).await {
        Ok(shown) if shown.token_id.as_ref() == Some(&given.id) => {}
        Err(unfit) if unfit.unavailable => {
            tracing::warn!(why = unfit.log, "whether a network token is good is not known");
            let detail = "Whether the network token is good is not known right now.";
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        Ok(_) | Err(_) => return Err(refused("The network token is not good.")),
    }
    let detail = "The network token is good. There are no sessions here: send it with every request.";
    Ok(fine(StatusCode::OK, detail, Value::Null))
}

/// There is no such login.
pub(super) fn unknown() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "There is no such login provider.")
}
