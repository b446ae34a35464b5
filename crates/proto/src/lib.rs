//! The words that Envoy speaks, generated from `/proto`: only the messages and fields that we read or write.
//!
//! This crate is for the `contracts` crate, which turns these messages into its own words, and for clients: tests and
//! the command that asks a running server. It does not interpret anything, has no server (the gRPC door reads the
//! bytes itself; what is here is its reference), opens no connection, and skips every field that it does not know.
//!
//! Module paths follow the packages: `envoy.type.v3.StatusCode` is [`envoy::type::v3::StatusCode`].
//!
//! Beware: the default of [`CheckResponse`](envoy::service::auth::v3::CheckResponse) is an ALLOW on the wire.

pub mod rfc3339;

/// Path of the one gRPC method, as it stands in the `:path` of a call.
pub const CHECK_PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Packages of Envoy's data plane API.
pub mod envoy {
    /// Types that Envoy's configuration and services share.
    pub mod config {
        /// The most common of them.
        pub mod core {
            /// Addresses, headers, metadata.
            pub mod v3 {
                tonic::include_proto!("envoy.config.core.v3");
            }
        }
    }

    /// Services that Envoy calls.
    pub mod service {
        /// External authorization.
        pub mod auth {
            /// `CheckRequest`, `CheckResponse` and the client for them.
            pub mod v3 {
                tonic::include_proto!("envoy.service.auth.v3");
            }
        }
    }

    /// Types that stand for themselves.
    pub mod r#type {
        /// HTTP statuses.
        pub mod v3 {
            #![allow(missing_docs, reason = "the names of the statuses say it all")]
            tonic::include_proto!("envoy.r#type.v3");
        }
    }
}

/// Packages of Google's that Envoy's messages refer to.
pub mod google {
    /// The well-known types: `Struct`, `Value`. A `BoolValue` is a plain `Option<bool>`.
    pub use prost_types as protobuf;

    /// The status of a call.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// Our own packages.
pub mod portcullis {
    /// Administration.
    pub mod admin {
        /// Nodes, remote users, tokens, revocations and keys; the messages are JSON, too.
        pub mod v1 {
            #![allow(missing_docs, reason = "requests say what their fields are by their names")]
            tonic::include_proto!("portcullis.admin.v1");

            /// The service's full name.
            pub const SERVICE: &str = "portcullis.admin.v1.Admin";
            /// The service and its messages as descriptors, for reflection.
            pub const FILE_DESCRIPTOR_SET: &[u8] =
                include_bytes!(concat!(env!("OUT_DIR"), "/admin_descriptor.bin"));
        }
    }
}
