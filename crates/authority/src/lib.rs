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
mod flaw;
mod keys;
mod links;
mod network_settings;
mod network_tokens;
mod node_jwt;
mod nodes;
mod prune;
mod remote_users;
mod revocations;
mod settings;
mod store;
mod view;

use std::sync::Arc;

use model::HouseView;
use tokio_util::task::AbortOnDropHandle;

pub use delegation::{DelegatedToken, DelegationSettings, Grant, House, Minted, Origin, Renewed, is_scope};
pub use flaw::Flaw;
pub use keys::{KeyInfo, KeySettings, KeyUse, Rotation};
pub use network_settings::NetworkSettings;
pub use network_tokens::{GivenToken, Which};
pub use node_jwt::{NodeClaims, NodeJwtRefusal, NodeJwts, NotSigned, OutboundFailure, UnverifiedJwt};
pub use nodes::{Node, NodeChange};
pub use remote_users::{RESERVED_PREFIX, RemoteUser, RemoteUserChange, RemoteUserFilter, is_reserved};
pub use revocations::{NewRevocation, Revocation};
pub use settings::{StoreSettings, Timing};
pub use store::{Page, Paged, ServerLook, Store, StoreError};
pub use view::Status;

/// Takes each new view of the store. Must not wait for anything.
pub type Publish = Arc<dyn Fn(HouseView) + Send + Sync>;

/// The store, and what is done with it: each concern adds its methods in its own file. Copies are the same one.
///
/// While one is there, a task looks after the view: it listens, polls and connects again. Belongs to the runtime it was
/// started on, which has to be alive as long as it is used.
#[derive(Clone, Debug)]
pub struct Authority {
    store: Store,
    keys: Arc<keys::Keyring>,
    _watch: Arc<AbortOnDropHandle<()>>,
}

impl Authority {
    /// Opens the store, publishes what is in it and goes on publishing: after each change here before the change is
    /// acknowledged, after changes elsewhere within a second, and each time that nothing has changed, because a view is good
    /// for so long only.
    ///
    /// # Errors
    /// As [`Store::open`]. A PostgreSQL that cannot be reached is no error: see [`Status`].
    pub async fn start(settings: &StoreSettings, publish: Publish) -> Result<Self, StoreError> {
        let store = Store::open(settings, publish).await?;
        let watch = tokio::spawn(view::watch(store.clone()));
        Ok(Self {
            store,
            keys: Arc::default(),
            _watch: Arc::new(AbortOnDropHandle::new(watch)),
        })
    }

    /// How the store does.
    pub fn status(&self) -> Status {
        self.store.status()
    }
}
