//! The judgement: credentials become an identity, a path becomes a resource, policies become a decision.
//!
//! Start with [`Pipeline`]: the order of the steps is one function. This crate knows no proxy and no wire format.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

mod certificate;
mod client_ip;
mod denials;
mod destination;
pub mod explain;
mod house;
pub mod identity;
mod identity_headers;
pub mod lint;
mod magpie;
mod pipeline;
pub mod policy;
pub mod problem;
mod record;
mod rerouting;
pub mod routes;
mod rules;
mod settings;
pub mod shadow;
mod status;
mod steps;
mod upstream_paths;

pub use certificate::ClientCertificateSettings;
pub use denials::DenialSettings;
pub use house::{House, HouseAction, HouseKind, HouseResource, HouseValue};
pub use identity::{ShownAs, ShownToken};
pub use magpie::{MagpieRouteSettings, MagpieSettings, MagpieUserSettings, UserName};
pub use pipeline::{DEFAULT_MAX_WAITING, HouseAnswer, Live, Pipeline, Replaced, Unfit};
pub use record::{Record, Recorder};
pub use rules::Rules;
pub use settings::{
    CorsPreflight, Expose, IdentityValue, MetadataPath, OnReserved, Settings, TcpRouteSettings,
    default_actions,
};
pub use steps::{Every, Step, Steps};
pub use upstream_paths::UpstreamPathSettings;
