//! A small HTTP server for an axum router: what operators, clients and other nodes ask, never proxies.

mod places;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::places::Places;
use crate::listen::Untaken;
use crate::tls::Handshakes;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may say nothing before its first request, whatever it speaks.
const FIRST: Duration = Duration::from_secs(5);
/// How long a connection may last: nobody here needs it for longer, and one that does little holds a place.
const LIFE: Duration = Duration::from_secs(600);
/// Requests at the same time on one connection of HTTP/2: each may have a body in memory.
const STREAMS: u32 = 16;

/// Who is connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connected {
    pub(crate) peer: SocketAddr,
    /// The address of ours that was asked.
    pub(crate) local: SocketAddr,
    /// By TLS.
    pub(crate) encrypted: bool,
}

impl Connected {
    /// Whether somebody on this very host asks. A peer with a loopback address is not enough: the sidecar of a mesh has one, and takes
    /// connections of everybody to the address of the pod.
    pub(crate) fn is_here(&self) -> bool {
        [self.peer, self.local]
            .iter()
            .all(|address| address.ip().to_canonical().is_loopback())
    }
}

/// Takes connections, with TLS or without, until it is told to leave, and tells the router who is [`Connected`]; `tasks` end with it.
/// When it is told, what is in flight finishes; then it ends.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<Handshakes>,
    (router, places): (Router, Places),
    mut tasks: JoinSet<()>,
    leave: CancellationToken,
) {
    let mut untaken = Untaken::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = tasks.join_next() => continue,
            () = leave.cancelled() => break,
        };
        match accepted.and_then(|(stream, peer)| Ok((stream.local_addr()?, stream, peer))) {
            Ok((local, stream, peer)) => {
                let connected = Connected {
                    peer,
                    local,
                    encrypted: tls.is_some(),
                };
                let Some(place) = places.place(&connected) else {
                    continue;
                };
                let (router, tls) = (router.clone().layer(Extension(connected)), tls.clone());
                let leave = leave.clone();
                tasks.spawn(async move {
                    let _place = place;
                    let answered = async {
                        match tls {
                            None => speak(stream, router, leave).await,
                            Some(tls) => match tls.shake(stream).await {
                                Ok(stream) => speak(stream, router, leave).await,
                                Err(error) => Err(error.to_string()),
                            },
                        }
                    };
                    if let Ok(Err(error)) = tokio::time::timeout(LIFE, answered).await {
                        tracing::debug!(error, "a connection ended");
                    }
                });
            }
            Err(error) => {
                untaken.one_more(&error).await;
            }
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// Answers on a connection until its peer ends it, or `leave` does when what is in flight is answered. One that has no request in
/// time is closed: neither an HTTP/1 head nor an HTTP/2 preface may be waited for without an end.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    leave: CancellationToken,
) -> Result<(), String> {
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let noted = router.layer(from_fn(move |request: Request, next: Next| {
        told.notify_one();
        next.run(request)
    }));
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(HEAD);
    let service = TowerToHyperService::new(noted);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let first = async {
        if tokio::time::timeout(FIRST, asked.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = connection.as_mut() => ended.map_err(|error| error.to_string()),
        () = first => Err("it asked for nothing".to_owned()),
        () = leave.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await.map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
