//! Where lines go. One that fails costs its own lines only: they are counted, and it is said now and then. But one thread writes
//! to all of them in turn, so one that neither takes anything nor fails (a pipe that nobody empties, a network file system
//! that hangs) stops the others, too, until the queues are full and records are dropped there.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::file::LogFile;
use super::settings::{DecisionLogSettings, Sink};

/// How long nothing more is said of a sink that goes on failing.
const QUIET: Duration = Duration::from_secs(60);

/// What became of the records that were meant for a sink.
#[derive(Debug)]
pub struct SinkCount {
    /// `stdout`, `stderr`, `file`, `otlp`; `traces` for spans.
    pub name: &'static str,
    written: AtomicU64,
    lost: AtomicU64,
}

impl SinkCount {
    /// Nothing so far.
    pub(crate) fn of(name: &'static str) -> Self {
        Self {
            name,
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// So many more were written.
    pub(crate) fn written(&self, number: usize) {
        self.written.fetch_add(number as u64, Ordering::Relaxed);
    }

    /// So many more are lost.
    pub(crate) fn lost(&self, number: usize) {
        self.lost.fetch_add(number as u64, Ordering::Relaxed);
    }

    /// How many were written, and how many are lost because the sink failed or was too slow.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.written.load(Ordering::Relaxed),
            self.lost.load(Ordering::Relaxed),
        )
    }
}

/// Says that records are lost, but not each time.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    said: Option<Instant>,
    lost: usize,
}

impl Complaint {
    /// So many more are lost because of this.
    pub(crate) fn tell(&mut self, sink: &str, lost: usize, error: &dyn Display) {
        self.lost += lost;
        if self.said.is_none_or(|said| said.elapsed() >= QUIET) {
            tracing::error!(sink, lost = self.lost, %error, "decision records could not be written and are lost");
            *self = Self {
                said: Some(Instant::now()),
                lost: 0,
            };
        }
    }
}

/// A sink for lines.
pub(super) struct Text {
    to: To,
    pub(super) count: Arc<SinkCount>,
    complaint: Complaint,
}

enum To {
    Stream(Box<dyn Write + Send>),
    File(LogFile),
}

impl Text {
    /// Opens all that the settings name.
    pub(super) fn open(settings: &DecisionLogSettings) -> io::Result<Vec<Self>> {
        let streams = settings.to.iter().filter_map(|sink| match sink {
            Sink::Stdout => Some(Self::stream("stdout", Box::new(io::stdout()))),
            Sink::Stderr => Some(Self::stream("stderr", Box::new(io::stderr()))),
            Sink::Otlp | Sink::Off => None,
        });
        let mut sinks: Vec<Self> = streams.collect();
        if let Some(path) = &settings.more.file {
            let file = LogFile::open(path, settings.rotate_bytes(), settings.keep_files())?;
            sinks.push(Self::of("file", To::File(file)));
        }
        Ok(sinks)
    }

    pub(super) fn stream(name: &'static str, stream: Box<dyn Write + Send>) -> Self {
        Self::of(name, To::Stream(stream))
    }

    fn of(name: &'static str, to: To) -> Self {
        Self {
            to,
            count: Arc::new(SinkCount::of(name)),
            complaint: Complaint::default(),
        }
    }

    /// Writes so many whole lines, or loses them.
    pub(super) fn write(&mut self, lines: &[u8], number: usize) {
        let written = match &mut self.to {
            To::Stream(stream) => stream.write_all(lines).and_then(|()| stream.flush()),
            To::File(file) => file.write(lines),
        };
        match written {
            Ok(()) => self.count.written(number),
            Err(error) => {
                self.count.lost(number);
                self.complaint.tell(self.count.name, number, &error);
            }
        }
    }
}
