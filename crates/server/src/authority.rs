//! The house as an authority: the store is opened, what is in it reaches decisions, and the endpoints where clients, other
//! nodes and administrators ask it for something.
//!
//! What it keeps and signs is in the crate `authority`; whether somebody may is asked of `authority.policies`.

pub(crate) mod admin_api;
pub(crate) mod asking;
mod network;
mod token_endpoint;
mod well_known;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, House, KeyUse, Publish};
use axum::Router;
use decide::Pipeline;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::asking::Asker;
use crate::config::AuthoritySection;
use crate::house::StartError;
use crate::http_server::{Places, accept};
use crate::tls::Handshakes;

/// The running authority; its listener ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    authority: Authority,
    address: SocketAddr,
    task: AbortOnDropHandle<()>,
    leave: CancellationToken,
}

impl Running {
    /// Opens the store, publishes what is in it, and listens. A PostgreSQL that does not answer is no error: until it does,
    /// credentials are refused.
    pub(crate) async fn start(
        section: &AuthoritySection,
        tls: Option<Handshakes>,
        pipeline: &Arc<Pipeline>,
    ) -> Result<Self, StartError> {
        let decisions = Arc::downgrade(pipeline);
        let publish: Publish = Arc::new(move |view| {
            if let Some(pipeline) = decisions.upgrade() {
                pipeline.publish(view);
            }
        });
        let authority = Authority::start(&section.store, publish)
            .await
            .and_then(|authority| authority.with_keys(&section.keys))
            .map_err(|error| StartError::Store(error.to_string()))?;
        if section.delegation.is_some()
            && let Err(error) = authority.ensure_keys(KeyUse::Tokens).await
        {
            tracing::warn!(%error, "there is no key yet that signs delegated tokens");
        }
        let failed = |source| StartError::Listen {
            address: section.listen,
            setting: "authority.listen",
            source,
        };
        let listener = TcpListener::bind(section.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router(section, &authority, pipeline).map_err(StartError::Network)?;
        let leave = CancellationToken::new();
        let reached = (router, Places::for_clients());
        let serve = accept(listener, tls, reached, JoinSet::new(), leave.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(serve));
        Ok(Self {
            authority,
            address,
            task,
            leave,
        })
    }

    /// Where clients and other nodes ask.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is kept.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Takes nothing new, lets what is in flight finish within this time, ends, and lets go of the pipeline.
    pub(crate) async fn stop(mut self, patience: Duration) {
        self.leave.cancel();
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            tracing::warn!("connections of the authority were cut at the end of drain_seconds");
            self.task.abort();
            let _ = self.task.await;
        }
    }
}

/// What is served where clients and other nodes ask.
///
/// # Errors
/// Network mode cannot be used.
fn router(
    section: &AuthoritySection,
    authority: &Authority,
    pipeline: &Arc<Pipeline>,
) -> Result<Router, String> {
    let mut router = network::of(section, authority, &Asker::new(Arc::clone(pipeline)))?;
    if let Some(delegation) = &section.delegation {
        let house = House {
            name: section.identity.name.clone(),
            url: section.identity.issuer.clone(),
        };
        router = router
            .merge(token_endpoint::routes(pipeline, authority, house, delegation))
            .merge(well_known::routes(pipeline, &section.identity.issuer, delegation));
    }
    Ok(router)
}
