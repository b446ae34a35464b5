//! The verbs as gRPC, and what there is to call for clients that ask (reflection, v1).

use axum::Router;
use proto::portcullis::admin::v1::admin_server::{Admin, AdminServer};
use proto::portcullis::admin::v1::{
    DelegatedToken, DeleteKeyRequest, DeleteNodeRequest, DeleteRemoteUserRequest, EndTokenRequest,
    FILE_DESCRIPTOR_SET, GetNodeRequest, GetRemoteUserRequest, GetRevocationRequest, GetTokenRequest,
    LiftRequest, ListDelegatedTokensRequest, ListDelegatedTokensResponse, ListKeysRequest, ListKeysResponse,
    ListNetworkTokensRequest, ListNetworkTokensResponse, ListNodesRequest, ListNodesResponse,
    ListRemoteUsersRequest, ListRemoteUsersResponse, ListRevocationsRequest, ListRevocationsResponse,
    NetworkToken, Node, RemoteUser, Revocation, RevokeRequest, RotateKeysRequest,
};
use tonic::{Request, Response, Status};

use super::caller::Caller;
use super::{AdminApi, MAX_BODY_BYTES};

/// The service.
struct Calls(AdminApi);

/// Each rpc hands its message to the verb of the same name.
macro_rules! calls {
    ($($verb:ident($request:ty) -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl Admin for Calls {
            $(async fn $verb(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let caller = request.extensions().get::<Caller>().cloned();
                let caller = caller.ok_or_else(|| Status::internal("nobody knows who calls"))?;
                Ok(Response::new(self.0.$verb(&caller, request.into_inner()).await?))
            })*
        }
    };
}

calls! {
    list_nodes(ListNodesRequest) -> ListNodesResponse;
    get_node(GetNodeRequest) -> Node;
    create_node(Node) -> Node;
    update_node(Node) -> Node;
    delete_node(DeleteNodeRequest) -> ();
    list_remote_users(ListRemoteUsersRequest) -> ListRemoteUsersResponse;
    get_remote_user(GetRemoteUserRequest) -> RemoteUser;
    create_remote_user(RemoteUser) -> RemoteUser;
    update_remote_user(RemoteUser) -> RemoteUser;
    delete_remote_user(DeleteRemoteUserRequest) -> ();
    list_network_tokens(ListNetworkTokensRequest) -> ListNetworkTokensResponse;
    get_network_token(GetTokenRequest) -> NetworkToken;
    end_network_token(EndTokenRequest) -> ();
    list_delegated_tokens(ListDelegatedTokensRequest) -> ListDelegatedTokensResponse;
    get_delegated_token(GetTokenRequest) -> DelegatedToken;
    end_delegated_token(EndTokenRequest) -> ();
    list_revocations(ListRevocationsRequest) -> ListRevocationsResponse;
    get_revocation(GetRevocationRequest) -> Revocation;
    revoke(RevokeRequest) -> Revocation;
    lift(LiftRequest) -> ();
    list_keys(ListKeysRequest) -> ListKeysResponse;
    rotate_keys(RotateKeysRequest) -> ListKeysResponse;
    delete_key(DeleteKeyRequest) -> ();
}

pub(super) fn router(api: AdminApi) -> Router {
    let service = AdminServer::new(Calls(api)).max_decoding_message_size(MAX_BODY_BYTES);
    Router::new().route_service("/portcullis.admin.v1.Admin/{method}", service)
}

/// What there is to call; who asks for it need not be anybody.
pub(super) fn reflection() -> Router {
    let described = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .build_v1();
    match described {
        Ok(service) => Router::new().route_service("/grpc.reflection.v1.ServerReflection/{method}", service),
        Err(error) => {
            tracing::error!(%error, "the admin API cannot be described to clients (gRPC reflection)");
            Router::new()
        }
    }
}
