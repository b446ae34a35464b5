//! The places that a listener has for connections, and what became of those that came.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::Room;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

/// How many connections of peers that may not ask are open at a time: they have no places among the others.
const STRANGERS: usize = 16;
/// How often it is told that connections are closed because there are too many.
const SILENCE: Duration = Duration::from_secs(60);

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    /// What metrics call the listener.
    pub(crate) listener: String,
    /// Room for the messages of all of them.
    pub(crate) room: Room,
    places: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    most: usize,
    most_bytes: usize,
    accepted: AtomicU64,
    closed: AtomicU64,
    closed_strangers: AtomicU64,
    told: Mutex<Option<Instant>>,
}

/// A listener in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections that are open.
    pub(crate) open: usize,
    /// How many may be.
    pub(crate) most: usize,
    /// Bytes of messages that are being read or answered.
    pub(crate) bytes: usize,
    /// How many may be.
    pub(crate) most_bytes: usize,
    /// Connections that got a place, so far.
    pub(crate) accepted: u64,
    /// Connections that were closed at once because there was none.
    pub(crate) closed: u64,
    /// The same of peers that may not ask.
    pub(crate) closed_strangers: u64,
}

impl Connections {
    pub(crate) fn new(listener: String, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            listener,
            room: Room::new(limits.max_bytes_in_flight),
            places: Arc::new(Semaphore::new(limits.max_connections)),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            most: limits.max_connections,
            most_bytes: limits.max_bytes_in_flight,
            accepted: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            closed_strangers: AtomicU64::new(0),
            told: Mutex::new(None),
        })
    }

    /// A place for a connection, among others or among strangers; `None` if it is to be closed at once.
    pub(super) fn place(&self, stranger: Option<IpAddr>) -> Option<OwnedSemaphorePermit> {
        let (among, closed) = match stranger {
            Some(_) => (&self.strangers, &self.closed_strangers),
            None => (&self.places, &self.closed),
        };
        let place = Arc::clone(among).try_acquire_owned().ok();
        let count = if place.is_some() { &self.accepted } else { closed };
        count.fetch_add(1, Ordering::Relaxed);
        match (&place, stranger) {
            (Some(_), _) => {}
            (None, Some(peer)) => {
                tracing::debug!(%peer, "a connection was closed at once: its peer may not ask");
            }
            (None, None) if self.is_to_be_told() => {
                let closed = self.closed.load(Ordering::Relaxed);
                let listener = &self.listener;
                tracing::warn!(
                    closed,
                    "`{listener}`: connections are closed at once, limits.max_connections are open"
                );
            }
            (None, None) => {}
        }
        place
    }

    /// Now and then: a flood of connections must not become a flood of lines.
    fn is_to_be_told(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.is_none_or(|at| at.elapsed() > SILENCE);
        if due {
            *told = Some(Instant::now());
        }
        due
    }

    /// How things are.
    pub(crate) fn load(&self) -> Load {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let taken = self.most.saturating_sub(self.places.available_permits());
        let strangers = STRANGERS.saturating_sub(self.strangers.available_permits());
        Load {
            open: taken + strangers,
            most: self.most,
            bytes: self.most_bytes.saturating_sub(self.room.free()),
            most_bytes: self.most_bytes,
            accepted: count(&self.accepted),
            closed: count(&self.closed),
            closed_strangers: count(&self.closed_strangers),
        }
    }
}

#[cfg(test)]
mod tests;
