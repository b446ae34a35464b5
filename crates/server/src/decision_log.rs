//! Decision records as JSON lines. Whoever decides only copies the parts of a record to a queue of its thread; a thread of
//! its own makes lines of them and writes: an answer never waits for a disk.

mod json;
mod line;
mod parts;
mod queue;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use decide::{Record, Recorder};

use self::line::{Clock, Line};
use self::parts::Taken;
use self::queue::Queues;
use crate::config::DecisionLogSettings;

/// About how many bytes are written at once.
const BATCH: usize = 64 * 1024;

/// Where records are offered.
#[derive(Debug)]
pub struct DecisionLog(Option<Arc<Queues>>);

/// The thread that writes; ends when the [`DecisionLog`] is gone.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl DecisionLog {
    /// Opens the sink and starts its writer.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread can be started.
    pub fn start(settings: &DecisionLogSettings) -> std::io::Result<(Self, Option<Writer>)> {
        let sink: Box<dyn Write + Send> = match settings {
            DecisionLogSettings::Stdout => Box::new(std::io::stdout()),
            DecisionLogSettings::Stderr => Box::new(std::io::stderr()),
            DecisionLogSettings::File(path) => {
                Box::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?)
            }
            DecisionLogSettings::Off => return Ok((Self(None), None)),
        };
        let queues = Arc::new(Queues::new());
        let writer = std::thread::Builder::new()
            .name("decision-log".to_owned())
            .spawn({
                let queues = Arc::clone(&queues);
                move || write(&queues, sink)
            })?;
        Ok((Self(Some(queues)), Some(Writer(writer))))
    }
}

impl Drop for DecisionLog {
    fn drop(&mut self) {
        if let Some(queues) = &self.0 {
            queues.close();
        }
    }
}

impl Writer {
    /// Waits until everything offered is written.
    pub fn finish(self) {
        if self.0.join().is_err() {
            tracing::error!("the writer of the decision log panicked; records may be missing");
        }
    }
}

impl Recorder for DecisionLog {
    fn offer(&self, record: &Record<'_, '_>) {
        if let Some(queues) = &self.0 {
            queues.push(|queue| line::pack(record, queue));
        }
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        let dropped = self.0.as_ref().map(|queues| queues.dropped.load(Ordering::Relaxed));
        vec![("queue", dropped.unwrap_or_default())]
    }
}

fn write(queues: &Queues, mut sink: Box<dyn Write + Send>) {
    let mut lines = Vec::with_capacity(BATCH + BATCH / 4);
    let mut clock = Clock::default();
    let mut flush = |lines: &mut Vec<u8>| {
        if let Err(error) = sink.write_all(lines).and_then(|()| sink.flush()) {
            tracing::error!(%error, "decision records could not be written and are lost");
        }
        lines.clear();
    };
    let mut told = 0;
    queues.drain(|mut records| {
        let mut records = Taken(&mut records);
        while let Some(record) = records.record() {
            if !append(record, &mut lines, &mut clock) {
                queues.dropped.fetch_add(1, Ordering::Relaxed);
            }
            if lines.len() >= BATCH {
                flush(&mut lines);
            }
        }
        if !lines.is_empty() {
            flush(&mut lines);
        }
        let dropped = queues.dropped.load(Ordering::Relaxed);
        let lost = dropped.saturating_sub(std::mem::replace(&mut told, dropped));
        if lost > 0 {
            tracing::error!(
                lost,
                "decision records were dropped: the sink is slower than the decisions, or they could not be read again"
            );
        }
    });
}

/// Appends a record as a line, or nothing and says so.
fn append(record: &[u8], lines: &mut Vec<u8>, clock: &mut Clock) -> bool {
    let begun = lines.len();
    let line = Line::unpack(record, clock);
    let written = line.is_some_and(|line| json::append(&line, lines).is_ok());
    match written {
        true => lines.push(b'\n'),
        false => lines.truncate(begun),
    }
    written
}

/// Keeps the last records in memory, as the JSON objects that a sink would get: for `check`, the demo and tests.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<std::sync::Mutex<std::collections::VecDeque<serde_json::Value>>>);

impl Memory {
    /// More than anybody looks at.
    const KEPT: usize = 1000;

    /// The record of a decision.
    pub fn find(&self, decision_id: &str) -> Option<serde_json::Value> {
        let records = self.0.lock().ok()?;
        records
            .iter()
            .find(|record| record["decision_id"] == decision_id)
            .cloned()
    }

    /// The latest record.
    pub fn last(&self) -> Option<serde_json::Value> {
        self.0.lock().ok()?.back().cloned()
    }
}

impl Recorder for Memory {
    fn offer(&self, record: &Record<'_, '_>) {
        let mut packed = Vec::new();
        line::pack(record, &mut packed);
        let line = Line::unpack(&packed, &mut Clock::default());
        let line = line.and_then(|line| serde_json::to_value(line).ok());
        if let (Some(line), Ok(mut records)) = (line, self.0.lock()) {
            records.push_back(line);
            if records.len() > Self::KEPT {
                records.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests;
