//! A small HTTP server for an axum router: what operators, clients and other nodes ask, never proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last: nobody here needs it for longer, and one that does nothing holds a place.
const LIFE: Duration = Duration::from_secs(3600);
/// Connections at the same time; more wait to be accepted.
const CONNECTIONS: usize = 512;
/// Requests at the same time on one connection of HTTP/2: each may have a body in memory.
const STREAMS: u32 = 16;

/// Who is connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connected(pub(crate) SocketAddr);

/// Takes connections until it is aborted, and tells the router who is [`Connected`]; `tasks` end with it.
pub(crate) async fn accept(listener: TcpListener, router: Router, mut tasks: JoinSet<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = tasks.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let service = TowerToHyperService::new(router.clone().layer(Extension(Connected(peer))));
                tasks.spawn(async move {
                    let _place = place;
                    let mut http = auto::Builder::new(TokioExecutor::new());
                    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
                    http.http2().max_concurrent_streams(STREAMS);
                    let connection = http.serve_connection(TokioIo::new(stream), service);
                    match tokio::time::timeout(LIFE, connection).await {
                        Ok(Err(error)) => tracing::debug!(error, "a connection ended"),
                        Ok(Ok(())) | Err(_) => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
