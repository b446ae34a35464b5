//! A tonic server with generated code, as its documentation shows one.

use std::error::Error;
use std::net::SocketAddr;

use envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

pub(crate) mod envoy {
    pub(crate) mod config {
        pub(crate) mod core {
            pub(crate) mod v3 {
                #![allow(unreachable_pub, missing_docs, reason = "generated")]
                tonic::include_proto!("envoy.config.core.v3");
            }
        }
    }
    pub(crate) mod service {
        pub(crate) mod auth {
            pub(crate) mod v3 {
                #![allow(unreachable_pub, missing_docs, reason = "generated")]
                tonic::include_proto!("envoy.service.auth.v3");
            }
        }
    }
    pub(crate) mod r#type {
        pub(crate) mod v3 {
            #![allow(unreachable_pub, missing_docs, reason = "generated")]
            tonic::include_proto!("envoy.r#type.v3");
        }
    }
}

mod google {
    pub(crate) mod rpc {
        #![allow(unreachable_pub, missing_docs, reason = "generated")]
        tonic::include_proto!("google.rpc");
    }
}

/// Gives the same answer to every question.
struct Always(CheckResponse);

#[tonic::async_trait]
impl Authorization for Always {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}

pub(crate) async fn serve(address: SocketAddr, answer: CheckResponse) -> Result<(), Box<dyn Error>> {
    Server::builder()
        .add_service(AuthorizationServer::new(Always(answer)))
        .serve(address)
        .await?;
    Ok(())
}
