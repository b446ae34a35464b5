//! Connections: one acceptor hands them out in turn to threads, each with a runtime of its own.
//!
//! A work-stealing runtime costs half as much again per request; proxies open one connection per worker, so handing
//! out whole connections keeps the threads evenly busy.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use contracts::grpc::{AuthorizationService, Reply};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use model::Decide;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::config::Limits;

/// More than any proxy lets through from its client (Envoy: 60 KiB), because some of it may be copied into the call
/// (`tracestate`, baggage). What is over this is answered by HTTP/2 itself, and that would be a gRPC error.
const MAX_HEADER_LIST: u32 = 96 * 1024;
/// A connection on which nobody begins to speak HTTP/2.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// Pings find peers that went away without a word.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection and its place among those that may be open.
type Arrival = (TcpStream, OwnedSemaphorePermit);

/// The listener with its threads.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    acceptor: tokio::task::JoinHandle<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Listens on `address` and answers with `service` on `threads` threads until `stop` says so.
    pub(crate) async fn start<D: Decide>(
        address: SocketAddr,
        service: AuthorizationService<D>,
        threads: usize,
        limits: &Limits,
        stop: &watch::Receiver<Stop>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut workers = Vec::with_capacity(threads);
        let mut handles = Vec::with_capacity(threads);
        for index in 0..threads {
            let (arrivals, arriving) = mpsc::channel(64);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (service, stop, max_streams) = (service.clone(), stop.clone(), limits.max_streams);
            let handle = std::thread::Builder::new()
                .name(format!("answers-{index}"))
                .spawn(move || runtime.block_on(serve(arriving, service, max_streams, stop)))?;
            workers.push(arrivals);
            handles.push(handle);
        }
        let places = Arc::new(Semaphore::new(limits.max_connections));
        Ok(Self {
            address,
            acceptor: tokio::spawn(accept(listener, workers, places, stop.clone())),
            threads: handles,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until every connection is finished; call after `stop` was given.
    pub(crate) async fn finished(self) {
        let _ = self.acceptor.await;
        let joined = tokio::task::spawn_blocking(move || {
            self.threads
                .into_iter()
                .filter_map(|thread| thread.join().err())
                .count()
        });
        if joined.await.unwrap_or(1) > 0 {
            tracing::error!("an answering thread panicked");
        }
    }
}

/// What the listeners are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Go on.
    No,
    /// Go on, and say that it is about to end: whoever routes to us needs a moment to hear it.
    Leaving,
    /// Take nothing new, finish what is in flight within this time, then end.
    Drain(Duration),
}

/// Waits until the listeners are told to stop; how long what is in flight may take.
async fn told(stop: &mut watch::Receiver<Stop>) -> Duration {
    match stop
        .wait_for(|stop| matches!(stop, Stop::Drain(_)))
        .await
        .map(|stop| *stop)
    {
        Ok(Stop::Drain(patience)) => patience,
        // Nobody is left who could tell: the house is gone.
        Ok(Stop::No | Stop::Leaving) | Err(_) => Duration::ZERO,
    }
}

async fn accept(
    listener: TcpListener,
    workers: Vec<mpsc::Sender<Arrival>>,
    places: Arc<Semaphore>,
    mut stop: watch::Receiver<Stop>,
) {
    let mut next = 0_usize;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = told(&mut stop) => return,
        };
        let stream = match accepted.and_then(|(stream, _)| {
            stream.set_nodelay(true)?;
            stream.into_std()
        }) {
            Ok(stream) => stream,
            Err(error) => {
                // Out of file descriptors, or a peer that left at once: neither may end the listener.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("a connection was closed at once: limits.max_connections are open");
            continue;
        };
        next = next.wrapping_add(1);
        if let Some(worker) = workers.get(next % workers.len().max(1)) {
            let _ = worker.send((stream, place)).await;
        }
    }
}

async fn serve<D: Decide>(
    mut arriving: mpsc::Receiver<Arrival>,
    service: AuthorizationService<D>,
    max_streams: u32,
    mut stop: watch::Receiver<Stop>,
) {
    let connections = TaskTracker::new();
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(max_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        // The peer is a proxy with many clients on one connection: what they cancel at the same time must not end it,
        // because its end is an error for all the others.
        .max_pending_accept_reset_streams(max_streams as usize)
        .max_local_error_reset_streams(max_streams as usize)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let drain = loop {
        let (stream, place) = tokio::select! {
            Some(arrival) = arriving.recv() => arrival,
            patience = told(&mut stop) => break patience,
        };
        let (service, http, stop) = (service.clone(), http.clone(), stop.clone());
        connections.spawn(async move {
            if let Err(error) = connection(stream, service, http, stop).await {
                tracing::debug!(error, "a connection ended");
            }
            drop(place);
        });
    };
    connections.close();
    if tokio::time::timeout(drain, connections.wait()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "connections were cut at the end of drain_seconds"
        );
    }
}

/// Waits until the peer has sent as much as the preface of HTTP/2 is long (RFC 9113 section 3.4), without taking it.
async fn preface(stream: &tokio::net::TcpStream) -> io::Result<()> {
    let mut begun = [0; 24];
    loop {
        match stream.peek(&mut begun).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            24.. => return Ok(()),
            // Part of it is there, so the socket stays readable: look again in a moment.
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn connection<D: Decide>(
    stream: TcpStream,
    service: AuthorizationService<D>,
    http: http2::Builder<TokioExecutor>,
    mut stop: watch::Receiver<Stop>,
) -> Result<(), String> {
    let stream = tokio::net::TcpStream::from_std(stream).map_err(|error| error.to_string())?;
    tokio::time::timeout(FIRST_BYTES, preface(&stream))
        .await
        .map_err(|_| "HTTP/2 was not begun in time")?
        .map_err(|error| error.to_string())?;
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<Response<Reply>, Infallible>(service.answer(request).await) }
    });
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = told(&mut stop) => {
            // GOAWAY, then what is in flight finishes.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| error.to_string())
}
