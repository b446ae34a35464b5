//! Being told of changes by the system.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Signal;
use super::trail::Trail;
use crate::config::Reads;

/// Watches what was read for a configuration.
pub(super) struct Watch {
    system: RecommendedWatcher,
    trail: Trail,
    /// Files that somebody writes into and has not closed yet.
    being_written: HashSet<PathBuf>,
}

impl Watch {
    /// Begins to watch nothing. What happens is sent to `signals`.
    ///
    /// # Errors
    /// The system has nothing to watch with, or no more of it.
    pub(super) fn start(signals: Sender<Signal>) -> notify::Result<Self> {
        let told = move |event: notify::Result<Event>| {
            // An error says that events were lost, so something may have changed. Nobody listening is the end.
            let _ = signals.send(event.map_or(Signal::Lost, Signal::Event));
        };
        Ok(Self {
            system: notify::recommended_watcher(told)?,
            trail: Trail::default(),
            being_written: HashSet::new(),
        })
    }

    /// Watches what was read, and nothing else any more.
    ///
    /// # Errors
    /// One of the directories cannot be watched. One that is not there is no error: the one it should be in is watched.
    pub(super) fn follow(&mut self, reads: &Reads) -> notify::Result<()> {
        let trail = Trail::of(reads);
        for gone in self.trail.directories.difference(&trail.directories) {
            // It may be gone from the disk, too.
            let _ = self.system.unwatch(gone);
        }
        let mut outcome = Ok(());
        // All of them: one of that name may have taken the place of the one that was watched.
        for directory in trail.directories.iter().filter(|directory| directory.is_dir()) {
            if let Err(error) = self.system.watch(directory, RecursiveMode::NonRecursive) {
                outcome = Err(error);
            }
        }
        self.trail = trail;
        outcome
    }

    /// True if an event may have changed what is watched.
    pub(super) fn matters(&mut self, event: &Event) -> bool {
        let paths = event.paths.iter().filter(|path| self.trail.has(path));
        let paths: Vec<&Path> = paths.map(PathBuf::as_path).collect();
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                for path in &paths {
                    self.being_written.remove(*path);
                }
            }
            // Our own reading, for example.
            EventKind::Access(_) => return false,
            EventKind::Modify(ModifyKind::Data(_)) => {
                self.being_written
                    .extend(paths.iter().map(|path| (*path).to_owned()));
            }
            _ => {
                for path in &paths {
                    self.being_written.remove(*path);
                }
            }
        }
        !paths.is_empty() || event.need_rescan()
    }

    /// True if somebody is in the middle of writing a file.
    pub(super) fn sees_writing(&self) -> bool {
        !self.being_written.is_empty()
    }

    /// No longer waits for files to be closed.
    pub(super) fn give_up_waiting(&mut self) {
        self.being_written.clear();
    }
}
