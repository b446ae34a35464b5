//! A user with an account at two nodes links the two: here they ask for it, there they agree, and come back with the proof.

use authority::StoreError;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse as _};
use decide::HouseResource;
use reqwest::Url;
use serde_json::Value;

use super::answer::{Failure, fine};
use super::body::Fields;
use super::{Answer, Shared, named, node_item};

/// Nothing runs, nothing is fetched, and nobody frames it: a click must be meant.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sends the user to the other node, to agree there.
pub(super) async fn begin(State(network): Shared, Path(node): Path<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    // A page of somebody else must not ask for it in the user's name: what follows counts because the user asked.
    if parts
        .headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        let detail = "A page of another site cannot ask for this link.";
        return Err(Failure::new(StatusCode::FORBIDDEN, detail));
    }
    let user = network.user(&parts, &node_item(&node)).await?;
    let node = network.node(&node).await?;
    let token = network
        .sign(&node.name, &network.settings.name_of(&user), None)
        .await?;
    let redirect_uri = format!("{}/network/link", network.url);
    let location = with_query(
        &node.authorization_url,
        &[
            ("token", &token),
            ("response_type", "id_token"),
            ("redirect_uri", &redirect_uri),
        ],
    )?;
    network.authority.ask_for_link(&node.name, &user).await?;
    let mut response = fine(StatusCode::FOUND, "Agree at the other node.", Value::Null);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// The user comes back with the other node's word for who they are there.
pub(super) async fn finish(State(network): Shared, RawQuery(query): RawQuery, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let user = network.user(&parts, &HouseResource::item("node", None)).await?;
    let fields = Fields::of_query(query.as_deref())?;
    let claims = network.claims(fields.required("token")?).await?;
    let there = named(claims.user_name.as_ref())?;
    let requesting = named(claims.requesting_user_name.as_ref())?;
    let refused = |detail: &str| Failure::new(StatusCode::FORBIDDEN, detail);
    if requesting != network.settings.name_of(&user) {
        return Err(refused("Somebody else asked for this link."));
    }
    network.refuse_reserved(&user)?;
    let linked = network.authority.link_remote_user(&claims, there, user).await;
    linked.map_err(|error| match error {
        StoreError::NotFound => refused("You did not ask for this link, or too long ago."),
        error => error.into(),
    })?;
    Ok(fine(StatusCode::OK, "The accounts are linked.", Value::Null))
}

/// A user of another node who has an account here agrees that they are the same.
pub(super) async fn agree(State(network): Shared, RawQuery(query): RawQuery, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let user = network.user(&parts, &HouseResource::item("node", None)).await?;
    let fields = Fields::of_query(query.as_deref())?;
    if fields.text("response_type")? != Some("id_token") {
        return Err(Failure::bad("The only `response_type` is `id_token`."));
    }
    let claims = network.claims(fields.required("token")?).await?;
    let requesting = named(claims.user_name.as_ref())?;
    let node = network.node(&claims.node).await?;
    let redirect_uri = fields.required("redirect_uri")?;
    if !node.redirect_uris.iter().any(|uri| uri == redirect_uri) {
        return Err(Failure::bad(
            "`redirect_uri` is none of those that the node is registered with.",
        ));
    }
    network.authority.count_node_token(&claims).await?;
    let name = network.settings.name_of(&user);
    let token = network.sign(&node.name, &name, Some(requesting)).await?;
    let back = with_query(redirect_uri, &[("token", &token)])?;
    let back = back
        .to_str()
        .map_err(|_| Failure::bad("`redirect_uri` cannot be used."))?;
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Link accounts</title><h1>Link accounts?</h1>\
         <p>You are <b>{name}</b> here. <b>{requesting}</b> of the node <b>{node}</b> asks to be the same person. If that is \
         you, they will be let in here as you are.</p>\
         <p><a rel=\"noreferrer\" href=\"{back}\">Yes, link them</a> (within {seconds} seconds). If it is not you, close \
         this page.</p>",
        name = escaped(&name),
        requesting = escaped(requesting),
        node = escaped(&node.name),
        back = escaped(back),
        seconds = network.settings.node_token_seconds,
    );
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    Ok((headers, Html(page)).into_response())
}

/// A URL with more parameters.
fn with_query(url: &str, parameters: &[(&str, &str)]) -> Result<HeaderValue, Failure> {
    let unusable = || {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "An address of the node cannot be used.",
        )
    };
    let mut url = Url::parse(url).map_err(|_| unusable())?;
    url.query_pairs_mut().extend_pairs(parameters);
    HeaderValue::from_str(url.as_str()).map_err(|_| unusable())
}

/// As text in HTML, in attributes too.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
