//! Decision records: as JSON lines, as log records of OpenTelemetry, and as spans. Whoever decides only copies the parts of a
//! record to a queue of its thread; a thread of its own makes lines of them and writes: an answer never waits for a disk.

mod file;
mod json;
mod line;
mod masks;
mod memory;
mod pack;
mod parts;
mod queue;
mod settings;
mod sinks;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use decide::{Record, Recorder};
use opentelemetry_sdk::logs::SdkLogRecord;

use self::line::Clock;
pub(crate) use self::line::{Line, schema};
use self::masks::Masks;
pub use self::memory::Memory;
use self::pack::{Purpose, pack};
use self::parts::{Parts, Taken};
use self::queue::Queues;
pub use self::settings::{
    AddressMask, DecisionLogSettings, QueryMask, RecordSettings, Sink, Sinks, SubjectMask,
};
pub(crate) use self::sinks::Complaint;
pub use self::sinks::SinkCount;
use self::sinks::Text;
use crate::background;
use crate::otlp::{Environment, Exporter, Exporting, LogRecords};
use crate::traces::Traces;

/// After so many records whoever answers on the same processor may go on, as long as the queues are calm: a thread that runs is left
/// alone for a millisecond or more, whoever else wakes up, and what comes meanwhile would wait for it. Who lets others go on is not
/// asked again for milliseconds where they always have something to do, so when records gather they are written first.
const AT_ONCE: usize = 16;
/// About how many bytes are written at once.
const BATCH: usize = 64 * 1024;
/// How long the sinks may take at the end for what they have not written yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where records are offered.
#[derive(Debug)]
pub struct DecisionLog(Option<Wanted>);

/// Which records are wanted, and where they go.
#[derive(Debug)]
struct Wanted {
    queues: Arc<Queues>,
    counts: Arc<Counts>,
    /// The share of allows that are written.
    share: f64,
    query: QueryMask,
    purposes: Purposes,
}

/// What records are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purposes {
    Lines,
    Spans,
    Both,
}

/// What became of the records, since the start.
#[derive(Debug)]
pub struct Counts {
    queues: Arc<Queues>,
    sinks: Vec<Arc<SinkCount>>,
}

/// The thread that writes; ends when the [`DecisionLog`] is gone.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
    written: Receiver<()>,
}

impl DecisionLog {
    /// Opens the sinks and starts their writer.
    ///
    /// # Errors
    /// The file cannot be opened, the collector's settings cannot be, or no thread can be started.
    pub fn start(settings: &DecisionLogSettings) -> io::Result<(Self, Option<Writer>)> {
        Self::with_traces(settings, &Environment::none())
    }

    /// The same, and spans of decisions are sent if the environment says where to.
    ///
    /// # Errors
    /// As [`DecisionLog::start`].
    pub(crate) fn with_traces(
        settings: &DecisionLogSettings,
        environment: &Environment,
    ) -> io::Result<(Self, Option<Writer>)> {
        let mut press = Press::new(Text::open(settings)?, Masks::of(&settings.more));
        let mut counts: Vec<_> = press.texts.iter().map(|text| Arc::clone(&text.count)).collect();
        if settings.to.contains(&Sink::Otlp) && !environment.is_disabled() {
            let count = Arc::new(SinkCount::of("otlp"));
            let (exporting, exporter) =
                Exporting::logs(environment, Arc::clone(&count)).map_err(io::Error::other)?;
            press.logs = Some((LogRecords::new(), exporting));
            press.exporters.push(exporter);
            counts.push(count);
        }
        let lines = !counts.is_empty();
        match Traces::start(environment) {
            Ok(None) => {}
            Ok(Some((traces, exporter, count))) => {
                press.traces = Some(traces);
                press.exporters.push(exporter);
                counts.push(count);
            }
            Err(error) => tracing::error!("no traces: {error}"),
        }
        let purposes = match (lines, press.traces.is_some()) {
            (true, true) => Purposes::Both,
            (true, false) => Purposes::Lines,
            (false, true) => Purposes::Spans,
            (false, false) => return Ok((Self(None), None)),
        };
        let queues = Arc::new(Queues::new());
        let wanted = Wanted {
            queues: Arc::clone(&queues),
            counts: Arc::new(Counts {
                queues,
                sinks: counts,
            }),
            share: settings.more.sample_allows.0,
            query: settings.more.query,
            purposes,
        };
        let writer = Writer::start(press, &wanted)?;
        Ok((Self(Some(wanted)), Some(writer)))
    }

    /// What becomes of the records; `None` if none are wanted.
    pub fn counts(&self) -> Option<Arc<Counts>> {
        self.0.as_ref().map(|wanted| Arc::clone(&wanted.counts))
    }
}

impl Wanted {
    /// What this record is for; `None` if for nothing.
    fn purpose(&self, record: &Record<'_, '_>) -> Option<Purpose> {
        let decision = record.decision;
        let is_plain_allow = decision.is_allow() && decision.audited().is_none() && record.errors.is_empty();
        self.purpose_of(is_plain_allow.then(|| decision.id().lot()))
    }

    /// With the lot of one that may be left out.
    fn purpose_of(&self, lot: Option<f64>) -> Option<Purpose> {
        let is_left_out = lot.is_some_and(|lot| lot >= self.share);
        match self.purposes {
            Purposes::Spans => Some(Purpose::Span),
            Purposes::Both if is_left_out => Some(Purpose::Span),
            Purposes::Lines if is_left_out => None,
            Purposes::Both | Purposes::Lines => Some(Purpose::Log),
        }
    }
}

impl Drop for DecisionLog {
    fn drop(&mut self) {
        if let Some(wanted) = &self.0 {
            wanted.queues.close();
        }
    }
}

impl Recorder for DecisionLog {
    fn offer(&self, record: &Record<'_, '_>) {
        if let Some(wanted) = &self.0
            && let Some(purpose) = wanted.purpose(record)
        {
            wanted
                .queues
                .push(|queue| pack(record, purpose, wanted.query, queue));
        }
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        let Some(wanted) = &self.0 else {
            return vec![("queue", 0)];
        };
        let counts = &wanted.counts;
        let sinks = counts.sinks().iter().map(|sink| (sink.name, sink.counts().1));
        [("queue", counts.dropped())].into_iter().chain(sinks).collect()
    }
}

impl Counts {
    /// Records that found no room in the queues, or could not be read again.
    pub fn dropped(&self) -> u64 {
        self.queues.dropped.load(Ordering::Relaxed)
    }

    /// The sinks.
    pub fn sinks(&self) -> &[Arc<SinkCount>] {
        &self.sinks
    }
}

impl Writer {
    fn start(mut press: Press, wanted: &Wanted) -> io::Result<Self> {
        let queues = Arc::clone(&wanted.queues);
        let (end, written) = channel();
        let thread = std::thread::Builder::new()
            .name("decision-log".to_owned())
            .spawn(move || {
                background::give_way();
                press.run(&queues);
                press.finish();
                let _ = end.send(());
            })?;
        Ok(Self { thread, written })
    }

    /// Waits until everything offered is written, or until that takes too long: a sink that does not take anything more must
    /// not keep the server from ending.
    pub fn finish(self) {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.written.recv_timeout(PATIENCE) {
            Ok(()) => {}
            Err(Timeout) => {
                tracing::error!("a sink of the decision log takes nothing more; its last records are lost");
                return;
            }
            Err(Disconnected) => {
                tracing::error!("the writer of the decision log panicked; records may be missing");
            }
        }
        let _ = self.thread.join();
    }
}

/// Makes lines, log records and spans of what was packed.
struct Press {
    texts: Vec<Text>,
    masks: Masks,
    clock: Clock,
    logs: Option<(LogRecords, Exporting<SdkLogRecord>)>,
    traces: Option<Traces>,
    exporters: Vec<Exporter>,
    lines: Vec<u8>,
    /// How many lines there are.
    number: usize,
    records: Vec<SdkLogRecord>,
    spans: Vec<opentelemetry_sdk::trace::SpanData>,
    /// How many bytes were read for all that is not written yet.
    read: usize,
}

impl Press {
    fn new(texts: Vec<Text>, masks: Masks) -> Self {
        Self {
            texts,
            masks,
            clock: Clock::default(),
            logs: None,
            traces: None,
            exporters: Vec::new(),
            lines: Vec::with_capacity(BATCH + BATCH / 4),
            number: 0,
            records: Vec::new(),
            spans: Vec::new(),
            read: 0,
        }
    }

    fn run(&mut self, queues: &Queues) {
        let (mut complaint, mut told) = (Complaint::default(), 0);
        queues.drain(|records| {
            self.pass(records, queues);
            let dropped = queues.dropped.load(Ordering::Relaxed);
            if dropped > told {
                let lost = usize::try_from(dropped - told).unwrap_or(usize::MAX);
                told = dropped;
                complaint.tell(
                    "queue",
                    lost,
                    &"the sinks are slower than the decisions, or they could not be read again",
                );
            }
        });
    }

    /// Takes and writes all of these. A panic costs what is not written yet of those before it.
    fn pass(&mut self, records: &Parts, queues: &Queues) {
        let dropped = &queues.dropped;
        let mut records = Taken::of(records);
        while !records.is_empty() {
            let went = catch_unwind(AssertUnwindSafe(|| {
                let mut taken = 0;
                while let Some(record) = records.record() {
                    if !self.take(record) {
                        dropped.fetch_add(1, Ordering::Relaxed);
                    }
                    taken += 1;
                    if taken % AT_ONCE == 0 && queues.are_calm() {
                        std::thread::yield_now();
                    }
                    if self.read >= BATCH {
                        self.write();
                    }
                }
                self.write();
            }));
            match went {
                Ok(()) => return,
                Err(_) => dropped.fetch_add(self.forget(), Ordering::Relaxed),
            };
        }
    }

    /// Forgets what is not written yet; about how many records that are.
    fn forget(&mut self) -> u64 {
        let number = self.number.max(self.records.len()).max(self.spans.len()).max(1);
        self.lines.clear();
        self.number = 0;
        self.records.clear();
        self.spans.clear();
        self.read = 0;
        number as u64
    }

    /// Takes a record; false if it cannot be read.
    fn take(&mut self, record: Taken<'_>) -> bool {
        let Some(line) = Line::unpack(record, &mut self.clock) else {
            return false;
        };
        self.read += record.size();
        let mut line = line.masked(&self.masks);
        let mut spans = self
            .traces
            .as_ref()
            .map(|traces| traces.spans(&mut line))
            .unwrap_or_default();
        if line.is_recorded {
            if let Some((records, _)) = &self.logs {
                let span = spans.first().map(|span| span.span_context.span_id());
                self.records.push(records.of(&line, span));
            }
            if !self.texts.is_empty() && !self.append(&line) {
                return false;
            }
        }
        self.spans.append(&mut spans);
        true
    }

    /// Appends a line, or nothing.
    fn append(&mut self, line: &Line<'_>) -> bool {
        let begun = self.lines.len();
        let written = json::append(line, &mut self.lines).is_ok();
        match written {
            true => {
                self.lines.push(b'\n');
                self.number += 1;
            }
            false => self.lines.truncate(begun),
        }
        written
    }

    /// Gives everything to the sinks.
    fn write(&mut self) {
        if self.number > 0 {
            for text in &mut self.texts {
                text.write(&self.lines, self.number);
            }
        }
        self.lines.clear();
        self.number = 0;
        let read = std::mem::take(&mut self.read);
        if let Some((_, exporting)) = &mut self.logs {
            exporting.offer(std::mem::take(&mut self.records), read);
        }
        if let Some(traces) = &mut self.traces {
            traces.exporting.offer(std::mem::take(&mut self.spans), read);
        }
    }

    fn finish(self) {
        let Self {
            logs,
            traces,
            exporters,
            ..
        } = self;
        // Nothing more comes for them.
        drop((logs, traces));
        for exporter in exporters {
            exporter.finish();
        }
    }
}

#[cfg(test)]
mod tests;
