//! Network tokens: given to users of other nodes here, and got for our users there; and the keys that all this is signed with.

use authority::{NotSigned, OutboundFailure, StoreError, Which};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use decide::{HouseAction, HouseResource};
use serde_json::{Value, json};

use super::answer::{Failure, fine};
use super::body::Fields;
use super::{Answer, Network, Shared, named, node_item};

/// Our public keys.
pub(super) async fn jwks(State(network): Shared) -> Answer {
    let jwks = network.jwts.jwks(&network.authority).await?;
    Ok(fine(StatusCode::OK, "The public keys of this node.", jwks))
}

/// A token for the user that another node vouches for.
pub(super) async fn give(State(network): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let fields = Fields::of_body(&parts, body).await?;
    let claims = network.claims(fields.required("token")?).await?;
    let user = named(claims.user_name.as_ref())?;
    let seconds = network.settings.token_seconds;
    let token = network
        .authority
        .give_network_token(&claims, user, seconds)
        .await?;
    tracing::info!(
        node = claims.node,
        remote_user = user,
        "a network token was given"
    );
    Ok(fine(
        StatusCode::CREATED,
        "The token is made.",
        json!({ "token": token }),
    ))
}

/// The end of that token.
pub(super) async fn take_back(State(network): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let fields = Fields::of_body(&parts, body).await?;
    let claims = network.claims(fields.required("token")?).await?;
    let user = named(claims.user_name.as_ref())?;
    network
        .authority
        .return_network_token(&claims, user)
        .await
        .map_err(|error| match error {
            StoreError::NotFound => Failure::new(StatusCode::NOT_FOUND, "That user has no token here."),
            error => error.into(),
        })?;
    tracing::info!(
        node = claims.node,
        remote_user = user,
        "a network token was taken back"
    );
    Ok(fine(StatusCode::OK, "The token is ended.", Value::Null))
}

/// The end of all tokens, or of those that have expired.
pub(super) async fn end_all(State(network): Shared, RawQuery(query): RawQuery, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let all = HouseResource::item("network_token", None);
    let by = network.may(&parts, HouseAction::TokensWrite, &all).await?;
    let which = match Fields::of_query(query.as_deref())?.flag("expired_only") {
        true => Which::Expired,
        false => Which::All,
    };
    let deleted = network.authority.end_network_tokens(which, &by).await?;
    Ok(fine(
        StatusCode::OK,
        "The tokens are ended.",
        json!({ "deleted": deleted }),
    ))
}

/// What a token of another node says. It can be used afterwards all the same.
pub(super) async fn decode(State(network): Shared, RawQuery(query): RawQuery, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let all = HouseResource::item("node", None);
    network.may(&parts, HouseAction::NodesRead, &all).await?;
    let fields = Fields::of_query(query.as_deref())?;
    let claims = network.claims(fields.required("token")?).await?;
    Ok(fine(
        StatusCode::OK,
        "The claims.",
        json!({ "jwt_content": claims.all }),
    ))
}

/// A token for whoever asks, at another node.
pub(super) async fn get_there(State(network): Shared, Path(node): Path<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let user = network.user(&parts, &node_item(&node)).await?;
    let node = network.node(&node).await?;
    let jwt = network
        .sign(&node.name, &network.settings.name_of(&user), None)
        .await?;
    let token = network.jwts.request_token(&node, &jwt).await?;
    Ok(fine(
        StatusCode::OK,
        "A token for the other node.",
        json!({ "token": token }),
    ))
}

/// The end of that token.
pub(super) async fn end_there(State(network): Shared, Path(node): Path<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let user = network.user(&parts, &node_item(&node)).await?;
    let node = network.node(&node).await?;
    let jwt = network
        .sign(&node.name, &network.settings.name_of(&user), None)
        .await?;
    network.jwts.return_token(&node, &jwt).await?;
    Ok(fine(
        StatusCode::OK,
        "The token at the other node is ended.",
        Value::Null,
    ))
}

impl Network {
    /// A token for another node about one of our users.
    pub(super) async fn sign(
        &self,
        node: &str,
        user: &str,
        requesting: Option<&str>,
    ) -> Result<String, Failure> {
        Ok(self.jwts.sign(&self.authority, node, user, requesting).await?)
    }
}

impl From<NotSigned> for Failure {
    fn from(error: NotSigned) -> Self {
        tracing::error!(%error, "network mode");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "There is no key to sign with.")
    }
}

impl From<OutboundFailure> for Failure {
    fn from(error: OutboundFailure) -> Self {
        tracing::warn!(%error, "another node could not be asked");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The other node did not answer as it should.",
        )
    }
}
