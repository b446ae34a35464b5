//! Connections: one acceptor hands them out in turn to threads, each with a runtime of its own.
//!
//! What is spoken on a connection is in [`speak`].
//!
//! A work-stealing runtime costs half as much again per request; proxies open one connection per worker, so handing
//! out whole connections keeps the threads evenly busy.

mod begun;
mod connections;
mod frames;
mod patient;
mod speak;
mod untaken;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use model::Decide;
use tokio::net::TcpListener;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

pub(crate) use self::connections::{Connections, Load};
pub(crate) use self::speak::Language;
pub(crate) use self::untaken::Untaken;
use crate::config::{AllowedPeers, Limits};
use crate::stack;
use crate::tls::Handshakes;

/// A connection.
struct Arrival {
    stream: TcpStream,
    /// Its peer, if that may not ask.
    stranger: Option<IpAddr>,
    /// Its place among the [`Connections`].
    place: OwnedSemaphorePermit,
}

/// The listener with its threads.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    acceptor: tokio::task::JoinHandle<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Listens on `address`, with TLS or without, and answers `peers` in that language on `threads` threads until `stop` says so.
    pub(crate) async fn start<D: Decide>(
        (address, tls): (SocketAddr, Option<Handshakes>),
        language: Language<D>,
        peers: AllowedPeers,
        threads: usize,
        (limits, connections): (&Limits, Arc<Connections>),
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
            let (language, stop, max_streams) = (language.clone(), stop.clone(), limits.max_streams);
            let tls = tls.clone();
            let handle = std::thread::Builder::new()
                .name(format!("answers-{index}"))
                .stack_size(stack::ANSWERING)
                .spawn(move || runtime.block_on(serve(arriving, (language, tls), max_streams, stop)))?;
            workers.push(arrivals);
            handles.push(handle);
        }
        Ok(Self {
            address,
            acceptor: tokio::spawn(accept(listener, peers, workers, connections, stop.clone())),
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
    peers: AllowedPeers,
    workers: Vec<mpsc::Sender<Arrival>>,
    connections: Arc<Connections>,
    mut stop: watch::Receiver<Stop>,
) {
    let mut next = 0_usize;
    let mut untaken = Untaken::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = told(&mut stop) => return,
        };
        let (stream, peer) = match accepted.and_then(|(stream, peer)| {
            stream.set_nodelay(true)?;
            Ok((stream.into_std()?, peer.ip()))
        }) {
            Ok(accepted) => accepted,
            Err(error) => {
                untaken.one_more(&error).await;
                continue;
            }
        };
        let stranger = (!peers.let_in(peer)).then_some(peer);
        let Some(place) = connections.place(stranger) else {
            continue;
        };
        next = next.wrapping_add(1);
        let arrival = Arrival {
            stream,
            stranger,
            place,
        };
        hand_out(&workers, next, arrival).await;
    }
}

/// To the thread whose turn it is, or to the next one that has room: one that is busy keeps nobody waiting whom others could
/// answer. Only if all are full it is waited for the first that is not any more.
async fn hand_out<T: Send + 'static>(workers: &[mpsc::Sender<T>], turn: usize, mut arrival: T) {
    let (before, after) = workers.split_at(turn % workers.len().max(1));
    for worker in after.iter().chain(before) {
        match worker.try_send(arrival) {
            Ok(()) => return,
            Err(TrySendError::Full(back) | TrySendError::Closed(back)) => arrival = back,
        }
    }
    let mut waiting: JoinSet<_> = workers.iter().cloned().map(mpsc::Sender::reserve_owned).collect();
    while let Some(room) = waiting.join_next().await {
        // A thread that has ended has none.
        if let Ok(Ok(room)) = room {
            // The others give back what they may have got meanwhile.
            waiting.shutdown().await;
            room.send(arrival);
            return;
        }
    }
}

async fn serve<D: Decide>(
    mut arriving: mpsc::Receiver<Arrival>,
    (language, tls): (Language<D>, Option<Handshakes>),
    max_streams: u32,
    mut stop: watch::Receiver<Stop>,
) {
    let connections = TaskTracker::new();
    let drain = loop {
        let Arrival {
            stream,
            stranger,
            place,
        } = tokio::select! {
            Some(arrival) = arriving.recv() => arrival,
            patience = told(&mut stop) => break patience,
        };
        let (language, tls, mut stop) = (language.clone(), tls.clone(), stop.clone());
        connections.spawn(async move {
            let told = async move {
                told(&mut stop).await;
            };
            if let Err(error) = language.speak(stream, tls, stranger, max_streams, told).await {
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

#[cfg(test)]
mod tests;
