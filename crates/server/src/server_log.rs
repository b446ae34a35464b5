//! The server's own log, on standard error. Whoever logs only appends to a buffer, and a thread of its own writes: neither a
//! reader that is gone nor one that is stuck keeps anybody from answering.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines may wait to be written; lines that find no room are lost and counted.
const ROOM: usize = 1024 * 1024;
/// How long the end of the server waits for lines that are not written yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the lines of the log are appended.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Arc<Shared>);

/// Dropped, it waits until everything is written, but not for a reader that is stuck.
#[derive(Debug)]
pub(crate) struct ServerLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    room: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Whether the thread has lines that it took and has not written yet.
    is_writing: bool,
    /// How many lines are lost of which nothing is said yet.
    lost: usize,
}

impl ServerLog {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// No thread can be had.
    pub(crate) fn start(to: impl Write + Send + 'static) -> io::Result<(Lines, Self)> {
        let shared = Shared::of(ROOM);
        let ours = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || ours.write(to, tell_lost))?;
        Ok((Lines(Arc::clone(&shared)), Self(shared)))
    }
}

impl Drop for ServerLog {
    fn drop(&mut self) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.0.waiting(), PATIENCE, is_busy);
        drop(waited);
    }
}

/// Panics become lines of the log: the hook that is there otherwise writes to standard error itself, and waits for its reader.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        let is_captured = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
        tracing::error!(
            target: "panic",
            thread = thread.name(),
            at = panic.location().map(tracing::field::display),
            backtrace = is_captured.then(|| tracing::field::display(&backtrace)),
            "panicked: {}",
            panic.payload_as_str().unwrap_or("of something that is no text"),
        );
    }));
}

fn tell_lost(lost: usize) {
    tracing::warn!(
        lost,
        "standard error took nothing for a while; lines of this log are lost"
    );
}

impl Shared {
    fn of(room: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            room,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > self.room {
            waiting.lost += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Writes what comes, for as long as the process lives. `tell` is called with how many lines are lost, when lines are
    /// taken again.
    fn write(&self, mut to: impl Write, tell: impl Fn(usize)) {
        let mut lines = Vec::new();
        loop {
            let nothing = |waiting: &mut Waiting| waiting.lines.is_empty();
            let waiting = self.changed.wait_while(self.waiting(), nothing);
            let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut waiting.lines, &mut lines);
            waiting.is_writing = true;
            drop(waiting);
            let written = to.write_all(&lines).and_then(|()| to.flush());
            let mut waiting = self.waiting();
            let lost = match written {
                Ok(()) => std::mem::take(&mut waiting.lost),
                Err(_) => {
                    waiting.lost += lines.iter().filter(|byte| **byte == b'\n').count();
                    0
                }
            };
            drop(waiting);
            lines.clear();
            if lost > 0 {
                tell(lost);
            }
            self.waiting().is_writing = false;
            self.changed.notify_all();
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    /// Takes a whole line: each event is written at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
