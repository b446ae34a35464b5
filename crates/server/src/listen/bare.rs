//! The listener alone, with anything that decides behind it: what asking costs when nothing is decided.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contracts::grpc::{AuthorizationService, DEFAULT_MAX_MESSAGE_BYTES};
use model::Decide;
use tokio::sync::watch;

use super::{Language, Listener, Stop};
use crate::config::{AllowedPeers, Limits};

/// Answers Envoy's gRPC calls on one thread, as a running server does, without rules, admin endpoints or a log.
#[derive(Debug)]
pub struct Bare {
    listener: Listener,
    stop: watch::Sender<Stop>,
}

impl Bare {
    /// Listens on `address` and asks `decide`.
    ///
    /// # Errors
    /// The address cannot be had, or there is no thread.
    pub async fn start<D: Decide>(address: SocketAddr, decide: Arc<D>) -> io::Result<Self> {
        let told = contracts::Listener::new(DEFAULT_MAX_MESSAGE_BYTES);
        let language = Language::Grpc(AuthorizationService::new(decide, told));
        let (stop, stopped) = watch::channel(Stop::No);
        let peers = AllowedPeers::default();
        let limits = Limits::default();
        let listener = Listener::start(address, language, peers, 1, &limits, &stopped).await?;
        Ok(Self { listener, stop })
    }

    /// Takes nothing new, and ends when its connections have.
    pub async fn stop(self) {
        self.stop.send_replace(Stop::Drain(Duration::ZERO));
        self.listener.finished().await;
    }
}
