//! The recent decisions that a running server can still explain. Bounded by number and by memory; whoever decides never
//! waits for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use decide::explain::Kept;
use decide::{Record, Recorder};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which decisions a running server remembers, for `portcullis check --explain --decision ID`. Kept in memory: what
/// policies could see of the request and who asked, never a credential.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainSettings {
    /// How many; 0 for none. Default: 1000
    #[serde(default = "default_recent")]
    pub recent: usize,
    /// How much memory they may take, in bytes. Default: 8388608
    #[serde(default = "default_bytes")]
    pub bytes: usize,
    /// Only denials, or all decisions: those of the last second then push out the denial that somebody asks about.
    /// Default: `denied`
    #[serde(default)]
    pub only: Only,
}

/// Which decisions are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// Denials, also those that are only audited.
    #[default]
    Denied,
    /// All of them.
    All,
}

fn default_recent() -> usize {
    1000
}

fn default_bytes() -> usize {
    8 * 1024 * 1024
}

impl Default for ExplainSettings {
    fn default() -> Self {
        Self {
            recent: default_recent(),
            bytes: default_bytes(),
            only: Only::default(),
        }
    }
}

/// The memory of recent decisions.
#[derive(Clone, Debug)]
pub struct Recent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: ExplainSettings,
    kept: Mutex<Ring>,
    dropped: AtomicU64,
}

/// Oldest first, each with its size.
#[derive(Debug, Default)]
struct Ring {
    decisions: VecDeque<(usize, Arc<Kept>)>,
    bytes: usize,
}

impl Recent {
    /// An empty memory.
    pub fn new(settings: &ExplainSettings) -> Self {
        Self(Arc::new(Inner {
            settings: settings.clone(),
            kept: Mutex::default(),
            dropped: AtomicU64::new(0),
        }))
    }

    /// Records go here, and to `next`.
    pub fn before(&self, next: Box<dyn Recorder>) -> Box<dyn Recorder> {
        Box::new(Both(self.clone(), next))
    }

    /// The decision of that id, while it is remembered.
    pub fn find(&self, id: &str) -> Option<Arc<Kept>> {
        let ring = self.0.kept.lock().ok()?;
        let mut decisions = ring.decisions.iter().rev();
        decisions
            .find(|(_, kept)| *kept.id == *id)
            .map(|(_, kept)| Arc::clone(kept))
    }

    /// How many are remembered, and how many were not because somebody was reading at that moment.
    pub fn counts(&self) -> (usize, u64) {
        let kept = self.0.kept.lock().map_or(0, |ring| ring.decisions.len());
        (kept, self.0.dropped.load(Ordering::Relaxed))
    }
}

impl Recorder for Recent {
    fn offer(&self, record: &Record<'_, '_>) {
        let settings = &self.0.settings;
        let decision = record.decision;
        let denied = !decision.is_allow() || decision.audited().is_some();
        if settings.recent == 0 || (settings.only == Only::Denied && !denied) {
            return;
        }
        let kept = Kept::of(record);
        let size = kept.bytes();
        if size > settings.bytes {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Never waits: another thread may be here, or somebody who reads.
        let Ok(mut ring) = self.0.kept.try_lock() else {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        ring.bytes += size;
        ring.decisions.push_back((size, Arc::new(kept)));
        while ring.decisions.len() > settings.recent || ring.bytes > settings.bytes {
            let Some((size, _)) = ring.decisions.pop_front() else {
                break;
            };
            ring.bytes -= size;
        }
    }
}

/// Two recorders, one after the other.
struct Both(Recent, Box<dyn Recorder>);

impl Recorder for Both {
    fn offer(&self, record: &Record<'_, '_>) {
        self.0.offer(record);
        self.1.offer(record);
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.1.dropped()
    }
}

#[cfg(test)]
mod tests;
