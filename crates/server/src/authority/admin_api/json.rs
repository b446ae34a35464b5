//! The verbs as JSON over HTTP: the same messages, under `/admin/v1`.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use proto::portcullis::admin::v1::{
    DeleteKeyRequest, DeleteNodeRequest, DeleteRemoteUserRequest, EndTokenRequest, GetNodeRequest,
    GetRemoteUserRequest, GetRevocationRequest, GetTokenRequest, LiftRequest, ListDelegatedTokensRequest,
    ListKeysRequest, ListNetworkTokensRequest, ListNodesRequest, ListRemoteUsersRequest,
    ListRevocationsRequest, Node, RemoteUser, RevokeRequest, RotateKeysRequest,
};

use super::caller::Caller;
use super::refused::Refused;
use super::{AdminApi, MAX_BODY_BYTES};

/// A handler that reads the message of a verb from one place and answers with what the verb gives.
macro_rules! verb {
    ($verb:ident, $from:ident<$request:ty>, $rejection:ty, $answer:expr) => {
        |State(api): State<AdminApi>,
         Extension(caller): Extension<Caller>,
         asked: Result<$from<$request>, $rejection>| async move {
            let $from(asked) = asked.map_err(|refusal| Refused::Invalid(refusal.body_text()))?;
            api.$verb(&caller, asked).await.map($answer)
        }
    };
}
/// With the message in the query.
macro_rules! asks {
    ($verb:ident($request:ty)) => {
        verb!($verb, Query<$request>, QueryRejection, Json)
    };
}
/// With the message in the path.
macro_rules! finds {
    ($verb:ident($request:ty)) => {
        verb!($verb, Path<$request>, PathRejection, Json)
    };
}
/// The same for a verb after which there is nothing to tell.
macro_rules! ends {
    ($verb:ident($request:ty)) => {
        verb!($verb, Path<$request>, PathRejection, |()| StatusCode::NO_CONTENT)
    };
}
/// With the message in the body, for something new.
macro_rules! makes {
    ($verb:ident($request:ty)) => {
        verb!($verb, Json<$request>, JsonRejection, |made| (
            StatusCode::CREATED,
            Json(made)
        ))
    };
}

pub(super) fn router(api: AdminApi) -> Router {
    let paths = Router::new()
        .route(
            "/nodes",
            get(asks!(list_nodes(ListNodesRequest))).post(makes!(create_node(Node))),
        )
        .route(
            "/nodes/{name}",
            get(finds!(get_node(GetNodeRequest)))
                .put(update_node)
                .delete(ends!(delete_node(DeleteNodeRequest))),
        )
        .route(
            "/remote_users",
            get(asks!(list_remote_users(ListRemoteUsersRequest)))
                .post(makes!(create_remote_user(RemoteUser))),
        )
        .route(
            "/remote_users/{node}/{name}",
            get(finds!(get_remote_user(GetRemoteUserRequest)))
                .put(update_remote_user)
                .delete(ends!(delete_remote_user(DeleteRemoteUserRequest))),
        )
        .route(
            "/network_tokens",
            get(asks!(list_network_tokens(ListNetworkTokensRequest))),
        )
        .route(
            "/network_tokens/{id}",
            get(finds!(get_network_token(GetTokenRequest))).delete(ends!(end_network_token(EndTokenRequest))),
        )
        .route(
            "/delegated_tokens",
            get(asks!(list_delegated_tokens(ListDelegatedTokensRequest))),
        )
        .route(
            "/delegated_tokens/{id}",
            get(finds!(get_delegated_token(GetTokenRequest)))
                .delete(ends!(end_delegated_token(EndTokenRequest))),
        )
        .route(
            "/revocations",
            get(asks!(list_revocations(ListRevocationsRequest))).post(makes!(revoke(RevokeRequest))),
        )
        .route(
            "/revocations/{id}",
            get(finds!(get_revocation(GetRevocationRequest))).delete(ends!(lift(LiftRequest))),
        )
        .route("/keys", get(asks!(list_keys(ListKeysRequest))))
        .route("/keys/{kid}", delete(ends!(delete_key(DeleteKeyRequest))))
        .route(
            "/keys/rotate",
            post(verb!(rotate_keys, Json<RotateKeysRequest>, JsonRejection, Json)),
        );
    Router::new()
        .nest("/admin/v1", paths)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(api)
}

async fn update_node(
    State(api): State<AdminApi>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<GetNodeRequest>, PathRejection>,
    node: Result<Json<Node>, JsonRejection>,
) -> Result<Json<Node>, Refused> {
    let Path(GetNodeRequest { name }) = path.map_err(|refusal| Refused::Invalid(refusal.body_text()))?;
    let Json(mut node) = node.map_err(|refusal| Refused::Invalid(refusal.body_text()))?;
    same(&mut node.name, name, "name")?;
    api.update_node(&caller, node).await.map(Json)
}

async fn update_remote_user(
    State(api): State<AdminApi>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<GetRemoteUserRequest>, PathRejection>,
    user: Result<Json<RemoteUser>, JsonRejection>,
) -> Result<Json<RemoteUser>, Refused> {
    let Path(GetRemoteUserRequest { node, name }) =
        path.map_err(|refusal| Refused::Invalid(refusal.body_text()))?;
    let Json(mut user) = user.map_err(|refusal| Refused::Invalid(refusal.body_text()))?;
    same(&mut user.node, node, "node")?;
    same(&mut user.name, name, "name")?;
    api.update_remote_user(&caller, user).await.map(Json)
}

/// What the path names; a body that names it must name the same.
fn same(in_body: &mut String, in_path: String, member: &str) -> Result<(), Refused> {
    if in_body.is_empty() || *in_body == in_path {
        *in_body = in_path;
        return Ok(());
    }
    Err(Refused::Invalid(format!(
        "`{member}` is {in_body:?} in the body and {in_path:?} in the path: names never change"
    )))
}
