//! The token endpoint: a client trades a user's token for one to act with (RFC 8693).
//!
//! Who asks is found by the same identities as everywhere, what they may is asked of `authority.policies`, and what they get
//! is never more than the user's token has.

mod actor;
mod error;
mod form;
mod narrowing;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use authority::{Authority, DelegationSettings, Grant, House, Minted, StoreError};
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use decide::{HouseAction, Pipeline, ShownAs, ShownToken};
use model::Reason;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use self::actor::Acting;
use self::error::{Code, Refusal};
use self::form::Form;
pub(crate) use self::form::TOKEN_EXCHANGE;
use super::asking::{Asked, Asker};
use crate::http_server::Connected;

/// Largest body, in bytes: two tokens and what is asked for.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// How many requests are worked on at a time: strangers must not keep the store busy for all.
const AT_ONCE: usize = 64;
/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the endpoint needs.
#[derive(Clone)]
struct Exchange {
    pipeline: Arc<Pipeline>,
    asker: Asker,
    authority: Authority,
    house: Arc<House>,
    settings: Arc<DelegationSettings>,
    places: Arc<Semaphore>,
}

/// `POST /token`.
pub(crate) fn routes(
    pipeline: &Arc<Pipeline>,
    authority: &Authority,
    house: House,
    settings: &DelegationSettings,
) -> Router {
    let exchange = Exchange {
        pipeline: Arc::clone(pipeline),
        asker: Asker::new(Arc::clone(pipeline)),
        authority: authority.clone(),
        house: Arc::new(house),
        settings: Arc::new(settings.clone()),
        places: Arc::new(Semaphore::new(AT_ONCE)),
    };
    Router::new().route("/token", post(token)).with_state(exchange)
}

async fn token(State(exchange): State<Exchange>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match exchange.answer(parts, body).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::info!(
                error = refusal.code.as_str(),
                why = refusal.log,
                "no token is issued"
            );
            refusal.into_response()
        }
    }
}

impl Exchange {
    async fn answer(&self, mut parts: Parts, body: Body) -> Result<Response, Refusal> {
        let body = read(&parts, body).await?;
        // Only now: bodies that never come hold no place.
        let _place = self.places.try_acquire().map_err(|_| {
            let why = "too many ask at the same time";
            Refusal::told(Code::TemporarilyUnavailable, why)
        })?;
        let form = Form::read(&body)?;
        let acting = self.acting(&mut parts, &form).await?;
        let subject = self.shown(&form.subject_token, ShownAs::Subject).await;
        let subject =
            subject.map_err(|(code, log)| Refusal::untold(code, "the subject_token was refused", log))?;
        let grant = narrowing::narrow(&form, &subject, &acting, &self.settings, unix_seconds())?;
        self.ask(&parts, &grant).await?;
        let minted = self.authority.mint(&self.house, &self.settings, &grant).await;
        let minted = minted.map_err(not_minted)?;
        tracing::info!(
            jti = minted.id,
            subject = %grant.subject,
            holder = grant.holder,
            seconds = grant.lifetime_seconds,
            renewal = grant.renews.is_some(),
            "a delegated token is issued"
        );
        Ok(success(&form, &grant, &minted))
    }

    /// Who asks: by the credential in the Authorization header, or by the `actor_token` in its place.
    async fn acting(&self, parts: &mut Parts, form: &Form) -> Result<Acting, Refusal> {
        let client = |why: &str, log: String| Refusal::untold(Code::InvalidClient, why, log);
        let token = bearer(parts)?.or_else(|| form.actor_token.clone());
        let token = token.ok_or_else(|| {
            let why = "the client must show a token of its own in the Authorization header";
            client(why, why.to_owned())
        })?;
        let shown = self.shown(&token, ShownAs::Actor).await;
        let shown = shown.map_err(|(code, log)| match code {
            Code::TemporarilyUnavailable => {
                Refusal::untold(code, "the client cannot be known right now", log)
            }
            _ => client("the client's credential was refused", log),
        })?;
        let mut acting = Acting::of(&shown)?;
        if form
            .client_id
            .as_ref()
            .is_some_and(|id| *id != acting.actor.client)
        {
            let why = "client_id is another client than the one that the credential is of";
            return Err(Refusal::told(Code::InvalidClient, why));
        }
        if let Some(named) = form.actor_token.as_ref().filter(|named| **named != token) {
            let named = self.shown(named, ShownAs::Actor).await;
            let named =
                named.map_err(|(code, log)| Refusal::untold(code, "the actor_token was refused", log))?;
            let named = Acting::of(&named)?;
            if named.holder != acting.holder {
                return Err(Refusal::told(
                    Code::InvalidRequest,
                    "the actor_token is of another client than the one that asks",
                ));
            }
            acting = named;
        }
        // So that the question to the policies is about the same.
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        let header =
            header.map_err(|_| client("the client's credential was refused", "it is no token".to_owned()))?;
        parts.headers.insert(AUTHORIZATION, header);
        Ok(acting)
    }

    async fn shown(&self, token: &str, shown_as: ShownAs) -> Result<ShownToken, (Code, String)> {
        let shown = self.pipeline.shown(token, shown_as).await;
        shown.map_err(|unfit| match unfit.unavailable {
            true => (Code::TemporarilyUnavailable, unfit.log),
            false => (Code::InvalidRequest, unfit.log),
        })
    }

    async fn ask(&self, parts: &Parts, grant: &Grant) -> Result<(), Refusal> {
        let peer = parts.extensions.get::<Connected>();
        let asked = Asked {
            parts,
            peer: peer.map_or_else(|| ([0, 0, 0, 0], 0).into(), |connected| connected.peer),
        };
        let question = narrowing::question(grant);
        let Err(denied) = self.asker.ask(asked, HouseAction::TokenExchange, &question).await else {
            return Ok(());
        };
        let decision = &denied.0;
        let log = format!("decision {} says no: see the decision log", decision.id());
        Err(match decision.reason() {
            Reason::CredentialMissing | Reason::CredentialRefused | Reason::Revoked => {
                Refusal::untold(Code::InvalidClient, "the client's credential was refused", log)
            }
            Reason::KeysUnavailable | Reason::RevocationsUnknown | Reason::Internal => Refusal::untold(
                Code::TemporarilyUnavailable,
                "that cannot be decided right now",
                log,
            ),
            _ => Refusal::untold(
                Code::UnauthorizedClient,
                "this client may not get such a token",
                log,
            ),
        })
    }
}

/// The body, if it says that it is a form.
async fn read(parts: &Parts, body: Body) -> Result<Vec<u8>, Refusal> {
    let kind = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let bad = |why: &str| Refusal::told(Code::InvalidRequest, why);
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(bad("the body must be application/x-www-form-urlencoded"));
    }
    let body = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, MAX_BODY_BYTES)).await;
    let body = body.map_err(|_| bad("the body took too long to come"))?;
    body.map(Into::into)
        .map_err(|_| bad("the body is too large, or was cut off"))
}

/// The token in the Authorization header; two of those, or another scheme, are nobody's.
fn bearer(parts: &Parts) -> Result<Option<String>, Refusal> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).into_iter();
    let refused = |why: &str| Refusal::told(Code::InvalidClient, why);
    match (headers.next(), headers.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(refused("there are several Authorization headers")),
        (Some(header), None) => {
            let header = header.to_str().unwrap_or_default();
            let token = header
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let token = token.map(|(_, token)| token.trim_start_matches(' ').to_owned());
            token
                .map(Some)
                .ok_or_else(|| refused("the Authorization header does not use the Bearer scheme"))
        }
    }
}

fn success(form: &Form, grant: &Grant, minted: &Minted) -> Response {
    let mut body = Map::new();
    let mut add = |name: &str, value: Value| body.insert(name.to_owned(), value);
    add("access_token", minted.token.as_str().into());
    add("issued_token_type", form.issued_token_type.into());
    add("token_type", "Bearer".into());
    add("expires_in", grant.lifetime_seconds.into());
    add("scope", grant.scopes.join(" ").into());
    add("audience", json!(grant.audiences));
    for (name, limit) in [("workspaces", &grant.workspaces), ("actions", &grant.actions)] {
        if let Some(limit) = limit {
            add(name, json!(limit));
        }
    }
    let mut response = (StatusCode::OK, Json(body)).into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn not_minted(error: StoreError) -> Refusal {
    match error {
        StoreError::NotFound => Refusal::untold(
            Code::InvalidRequest,
            "the subject_token was refused",
            "the store does not know the token that is to be renewed",
        ),
        StoreError::Invalid(why) => Refusal::told(Code::InvalidRequest, why),
        error => Refusal::untold(
            Code::TemporarilyUnavailable,
            "no token can be issued right now",
            error.to_string(),
        ),
    }
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
