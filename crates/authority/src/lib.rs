//! What the house itself vouches for: revocations, federated nodes and their users, tokens it issues and the keys that sign
//! them, kept in SQLite or PostgreSQL.
//!
//! Decisions never come here: the store publishes a plain [`model::HouseView`] after every change. HTTP and gRPC
//! endpoints are the server's.

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

mod delegation;
mod keys;
mod network_settings;
mod settings;

use std::sync::Arc;

use model::HouseView;

pub use delegation::DelegationSettings;
pub use keys::KeySettings;
pub use network_settings::NetworkSettings;
pub use settings::StoreSettings;

/// Takes each new view of the store.
pub type Publish = Arc<dyn Fn(HouseView) + Send + Sync>;
