//! Decision records as JSON lines, written by a thread of their own: an answer never waits for a disk.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use decide::policy::PolicyError;
use decide::{Record, Recorder};
use model::{Audited, Target, Verdict};
use serde::Serialize;

use crate::config::DecisionLogSettings;

/// How many records may wait for the writer; more are dropped and counted.
const QUEUE: usize = 4 * 1024;

/// Where records are offered.
#[derive(Debug)]
pub struct DecisionLog {
    queue: Option<SyncSender<Vec<u8>>>,
    dropped: Arc<AtomicU64>,
}

/// The thread that writes; ends when every [`DecisionLog`] is gone.
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
            DecisionLogSettings::Off => {
                return Ok((
                    Self {
                        queue: None,
                        dropped: Arc::default(),
                    },
                    None,
                ));
            }
        };
        let (queue, records) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let writer = std::thread::Builder::new()
            .name("decision-log".to_owned())
            .spawn(move || write(&records, sink, &counted))?;
        Ok((
            Self {
                queue: Some(queue),
                dropped,
            },
            Some(Writer(writer)),
        ))
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
        let Some(queue) = &self.queue else {
            return;
        };
        let Ok(mut line) = serde_json::to_vec(&Line::of(record)) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        line.push(b'\n');
        match queue.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn write(records: &Receiver<Vec<u8>>, mut sink: Box<dyn Write + Send>, dropped: &AtomicU64) {
    let mut batch = Vec::with_capacity(64 * 1024);
    while let Ok(first) = records.recv() {
        batch.extend_from_slice(&first);
        while batch.len() < 60 * 1024 {
            match records.try_recv() {
                Ok(line) => batch.extend_from_slice(&line),
                Err(_) => break,
            }
        }
        if let Err(error) = sink.write_all(&batch).and_then(|()| sink.flush()) {
            tracing::error!(%error, "decision records could not be written and are lost");
        }
        batch.clear();
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::error!(
                lost,
                "decision records were dropped: the sink is slower than the decisions"
            );
        }
    }
}

/// One line of the log.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    decision_id: String,
    verdict: &'static str,
    reason: &'static str,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    contract: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_end: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    policies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<AuditLine<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorLine<'a>>,
    #[serde(flatten)]
    request: Option<RequestLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    version: &'a str,
    microseconds: f64,
}

/// What the answer would have been, had it not only been audited.
#[derive(Debug, Serialize)]
struct AuditLine<'a> {
    verdict: &'static str,
    reason: &'static str,
    status: u16,
    policies: Vec<&'a str>,
}

/// A policy that could not be evaluated.
#[derive(Debug, Serialize)]
struct ErrorLine<'a> {
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    message: &'a str,
}

/// What was asked for. The query is left out: it may carry secrets.
#[derive(Debug, Serialize)]
struct RequestLine<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl<'a> AuditLine<'a> {
    fn of(audited: &'a Audited) -> Self {
        Self {
            verdict: "deny",
            reason: audited.denial.reason.as_str(),
            status: audited.denial.status,
            policies: audited.policies.iter().map(|policy| &**policy).collect(),
        }
    }
}

impl<'a> Line<'a> {
    fn of(record: &Record<'a, '_>) -> Self {
        let decision = record.decision;
        let request = record.check.and_then(|check| match &check.target {
            Target::Http(request) => Some(RequestLine {
                method: request.method,
                host: request.host.as_str(),
                path: request.path.as_str(),
                request_id: request
                    .headers
                    .single("x-request-id")
                    .ok()
                    .flatten()
                    .and_then(|id| std::str::from_utf8(id).ok())
                    .filter(|id| id.len() <= 128),
            }),
            Target::Tcp(_) => None,
        });
        Self {
            time: timestamp(SystemTime::now()),
            decision_id: decision.id().to_string(),
            verdict: if decision.is_allow() { "allow" } else { "deny" },
            reason: decision.reason().as_str(),
            why: record.why(),
            status: match decision.verdict() {
                Verdict::Allow(_) => None,
                Verdict::Deny(denial) => Some(denial.status),
            },
            contract: record.contract.as_str(),
            principal: record.principal.map(ToString::to_string),
            client: record.principal.and_then(|principal| principal.client.as_deref()),
            actors: record
                .principal
                .map(|principal| principal.actors.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            action: record.action,
            resource: record.resource,
            other_end: record.other_end,
            route: record.route,
            policies: decision.policies().iter().map(|policy| &**policy).collect(),
            audit: decision.audited().map(AuditLine::of),
            errors: record.errors.iter().map(ErrorLine::of).collect(),
            request,
            client_ip: record.client_ip,
            key_id: record.key_id,
            version: &decision.version().0,
            microseconds: (record.took.as_nanos() as f64 / 100.0).round() / 10.0,
        }
    }
}

impl<'a> ErrorLine<'a> {
    fn of(error: &'a PolicyError) -> Self {
        let place = error.place.as_ref();
        Self {
            policy: &error.policy,
            file: place.map(|(file, _)| &**file),
            line: place.map(|(_, line)| *line),
            message: &error.message,
        }
    }
}

/// RFC 3339 with microseconds, UTC.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    jiff::Timestamp::new(since.as_secs().cast_signed(), since.subsec_nanos().cast_signed())
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
        .unwrap_or_default()
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
        if let (Ok(line), Ok(mut records)) = (serde_json::to_value(Line::of(record)), self.0.lock()) {
            records.push_back(line);
            if records.len() > Self::KEPT {
                records.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests;
