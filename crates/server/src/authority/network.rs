//! Network mode: what other nodes, their users and administrators ask, in the forms of Magpie 5, so that a node may be either.
//!
//! A token of another node proves the node and nothing else; whoever asks for themselves presents a credential as everywhere,
//! and `authority.policies` say whether they may. There is no login here: no answer sets a session.

mod answer;
mod body;
mod link;
mod nodes;
mod remote_users;
mod signin;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use authority::{
    Authority, NetworkSettings, Node, NodeClaims, NodeJwtRefusal, NodeJwts, StoreError, UnverifiedJwt,
};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, delete, get, post};
use decide::{HouseAction, HouseResource, HouseValue};
use model::{LocalUser, Principal, PrincipalKind};
use tokio::sync::Semaphore;

use self::answer::Failure;
use super::asking::{Asked, Asker};
use crate::config::AuthoritySection;
use crate::http_server::Connected;

/// How many requests are worked on at a time; more are turned away, so that strangers cannot keep the store busy for all.
const AT_ONCE: usize = 64;

/// How long a request may be worked on: longer than the store and another node may take each.
const LONGEST: Duration = Duration::from_secs(15);

/// Everything that the endpoints need.
struct Network {
    asker: Asker,
    authority: Authority,
    settings: NetworkSettings,
    jwts: NodeJwts,
    /// The short name of the house.
    house: String,
    /// The house's own URL, without a slash at the end.
    url: String,
    places: Arc<Semaphore>,
}

type Shared = State<Arc<Network>>;
type Answer = Result<Response, Failure>;

/// The endpoints, as configured.
///
/// # Errors
/// As [`Network::new`].
pub(super) fn of(section: &AuthoritySection, authority: &Authority, asker: &Asker) -> Result<Router, String> {
    let Some(settings) = &section.network else {
        return Ok(router_off());
    };
    let house = (&*section.identity.name, &*section.identity.issuer);
    Network::new(asker.clone(), authority.clone(), settings, house).map(router)
}

/// Those of network mode that is on.
fn router(network: Network) -> Router {
    let network = Arc::new(network);
    Router::new()
        .route("/network/jwks", get(tokens::jwks))
        .route("/network/token", post(tokens::give).delete(tokens::take_back))
        .route("/network/tokens", delete(tokens::end_all))
        .route("/network/decode_jwt", get(tokens::decode))
        .route("/network/nodes", get(nodes::list).post(nodes::add))
        .route(
            "/network/nodes/{node}",
            get(nodes::show).patch(nodes::change).delete(nodes::remove),
        )
        .route(
            "/network/nodes/{node}/token",
            get(tokens::get_there).delete(tokens::end_there),
        )
        .route("/network/nodes/{node}/link", post(link::begin))
        .route("/network/link", get(link::finish))
        .route("/ui/network/authorize", get(link::agree))
        .route(
            "/network/remote_users",
            get(remote_users::list).post(remote_users::add),
        )
        .route("/network/remote_users/current", get(remote_users::current))
        .route(
            "/network/nodes/{node}/remote_users/{user}",
            get(remote_users::show)
                .patch(remote_users::change)
                .delete(remote_users::remove),
        )
        .route("/providers/{provider}/signin", any(signin::signin))
        .layer(from_fn_with_state(Arc::clone(&network), to_the_end))
        .with_state(network)
}

/// The same paths without network mode: there is none, and no way to log in by it.
fn router_off() -> Router {
    let off = || async {
        Failure::new(StatusCode::NOT_IMPLEMENTED, "Network mode is not enabled.").into_response()
    };
    let no_provider = || async { signin::unknown().into_response() };
    Router::new()
        .route("/network", any(off))
        .route("/network/{*path}", any(off))
        .route("/ui/network/{*path}", any(off))
        .route("/providers/{provider}/signin", any(no_provider))
}

/// Works on a request to its end, even if nobody waits for the answer any more: a change is made and in force, or neither.
///
/// The body is there before a place is taken: those that never come hold none.
async fn to_the_end(State(network): Shared, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let request = match body::received(body).await {
        Ok(body) => Request::from_parts(parts, body),
        Err(failure) => return failure.into_response(),
    };
    let Ok(place) = Arc::clone(&network.places).try_acquire_owned() else {
        let busy = Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many requests are being worked on.",
        );
        return busy.into_response();
    };
    let worked = tokio::spawn(async move {
        let _place = place;
        let worked = tokio::time::timeout(LONGEST, next.run(request)).await;
        worked.unwrap_or_else(|_| {
            let detail = "This took too long. Whether it was done is not known: look before trying again.";
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
        })
    });
    worked.await.unwrap_or_else(|_| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.").into_response()
    })
}

impl Network {
    /// `house` is the short name and `url` the house's own URL.
    ///
    /// # Errors
    /// Nothing can be signed or sent.
    fn new(
        asker: Asker,
        authority: Authority,
        settings: &NetworkSettings,
        (house, url): (&str, &str),
    ) -> Result<Self, String> {
        Ok(Self {
            jwts: NodeJwts::new(settings)?,
            asker,
            authority,
            settings: settings.clone(),
            house: house.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Whoever asks, if they may do that; as the audit names them.
    async fn may(
        &self,
        parts: &Parts,
        action: HouseAction,
        resource: &HouseResource,
    ) -> Result<String, Failure> {
        let asking = self.ask(parts, action, resource).await?;
        Ok(asking.unwrap_or_else(Principal::anonymous).to_string())
    }

    /// The user who asks for themselves, if they may: somebody with a credential of their own. A token that the house gave is
    /// none: with it, whoever has it could get more of them.
    async fn user(&self, parts: &Parts, resource: &HouseResource) -> Result<LocalUser, Failure> {
        let asking = self.ask(parts, HouseAction::NetworkUse, resource).await?;
        match asking {
            Some(principal)
                if principal.kind == PrincipalKind::User
                    && principal.delegation.is_none()
                    && principal.issuer != self.house =>
            {
                Ok(LocalUser {
                    issuer: principal.issuer,
                    subject: principal.subject,
                })
            }
            Some(_) => Err(Failure::new(
                StatusCode::FORBIDDEN,
                "This is for users with a credential of their own.",
            )),
            None => Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "This is for users who say who they are.",
            )),
        }
    }

    async fn ask(
        &self,
        parts: &Parts,
        action: HouseAction,
        resource: &HouseResource,
    ) -> Result<Option<Principal>, Failure> {
        let peer = parts.extensions.get::<Connected>();
        let asked = Asked {
            parts,
            peer: peer.map_or_else(|| ([0, 0, 0, 0], 0).into(), |connected| connected.peer),
        };
        self.asker
            .ask(asked, action, resource)
            .await
            .map_err(|denied| Failure::denied(&denied))
    }

    /// A node by its name.
    async fn node(&self, name: &str) -> Result<Node, Failure> {
        self.authority.node(name).await.map_err(|error| match error {
            StoreError::NotFound => Failure::new(StatusCode::NOT_FOUND, "There is no such node."),
            error => error.into(),
        })
    }

    /// What a token of another node says, if it is good.
    async fn claims(&self, token: &str) -> Result<NodeClaims, Failure> {
        let token = UnverifiedJwt::parse(token)?;
        let node = self.node(token.issuer()).await?;
        let verified = self.jwts.verify(token, &node).await;
        if let Err(NodeJwtRefusal::KeysUnavailable(why)) = &verified {
            tracing::warn!(node = node.name, why, "the keys of a node cannot be had");
        }
        Ok(verified?)
    }
}

/// A node, as policies see it.
fn node_item(name: &str) -> HouseResource {
    HouseResource::item("node", Some(name)).with("node", HouseValue::Text(name.to_owned()))
}

/// The user whom a claim must name.
fn named(claim: Option<&String>) -> Result<&str, Failure> {
    let missing = || Failure::new(StatusCode::BAD_REQUEST, "The token lacks the name of a user.");
    claim.map(String::as_str).ok_or_else(missing)
}

#[cfg(test)]
mod tests;
