//! How many connections there may be: nobody takes the places of everybody else.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Connected;

/// Connections at the same time; more are closed. Those from this very host have as many of their own, so that its operators and
/// probes get through whoever else comes.
const CONNECTIONS: usize = 512;
/// The same of one other address where operators ask: probes come from other hosts, too, and those who watch a server do not
/// need more. Whoever has many addresses has to be kept away by a NetworkPolicy.
const OF_ONE: usize = 64;

/// The places of a listener.
#[derive(Debug)]
pub(crate) struct Places {
    here: Arc<Semaphore>,
    elsewhere: Arc<Semaphore>,
    /// How many there may be of one other address.
    most_of_one: usize,
    open: Open,
}

/// How many connections there are of each other address that has any.
type Open = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The place of a connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _among: OwnedSemaphorePermit,
    of: Option<(Open, IpAddr)>,
}

impl Places {
    /// For operators and probes.
    pub(crate) fn for_operators() -> Self {
        Self::with(OF_ONE)
    }

    /// For clients and other nodes, many of whom may come by way of one proxy.
    pub(crate) fn for_clients() -> Self {
        Self::with(CONNECTIONS)
    }

    fn with(most_of_one: usize) -> Self {
        let [here, elsewhere] = [(), ()].map(|()| Arc::new(Semaphore::new(CONNECTIONS)));
        Self {
            here,
            elsewhere,
            most_of_one,
            open: Open::default(),
        }
    }

    /// A place for a connection; `None` if it is to be closed.
    pub(super) fn place(&self, connected: &Connected) -> Option<Place> {
        let here = connected.is_here();
        let among = if here { &self.here } else { &self.elsewhere };
        let among = Arc::clone(among).try_acquire_owned().ok()?;
        if here {
            return Some(Place {
                _among: among,
                of: None,
            });
        }
        let peer = connected.peer.ip().to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(peer).or_default();
        // One without any has just come, and there is a place for it.
        (*count < self.most_of_one).then(|| {
            *count += 1;
            Place {
                _among: among,
                of: Some((Arc::clone(&self.open), peer)),
            }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((open, peer)) = &self.of else {
            return;
        };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(peer);
            }
        }
    }
}

#[cfg(test)]
mod tests;
