//! To an OpenTelemetry collector (OTLP), as the standard variables `OTEL_*` say: a thread for each kind of thing that is sent,
//! behind a bounded queue. Whoever offers never waits.
//!
//! Variables: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

mod environment;
mod logs;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::background;
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogExporter as _, SdkLogRecord};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use crate::decision_log::{Complaint, SinkCount};

pub(crate) use self::environment::{Environment, Sampler, Signal};
pub(crate) use self::logs::LogRecords;

/// How many bytes of lines may wait to be sent; what finds no room is lost and counted.
const ROOM: usize = 8 * 1024 * 1024;
/// How many things are sent at once.
const BATCH: usize = 512;

/// Things on their way to the collector.
#[derive(Debug)]
pub(crate) struct Exporting<T> {
    queue: Sender<(Vec<T>, usize)>,
    waiting: Arc<AtomicUsize>,
    count: Arc<SinkCount>,
    complaint: Complaint,
}

/// The thread that sends; ends when everything is sent and its [`Exporting`] is gone.
#[derive(Debug)]
pub(crate) struct Exporter(JoinHandle<()>);

/// Sends a batch, and says why it could not be.
type Send1<T> = Box<dyn FnMut(Vec<T>) -> OTelSdkResult>;

impl<T: Send + 'static> Exporting<T> {
    /// Offers things that take about so many bytes.
    pub(crate) fn offer(&mut self, things: Vec<T>, bytes: usize) {
        let number = things.len();
        if number == 0 {
            return;
        }
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let why = if waiting + bytes > ROOM {
            "the collector is slower than the decisions"
        } else if self.queue.send((things, bytes)).is_err() {
            "the thread that sends to the collector has ended"
        } else {
            return;
        };
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.count.lost(number);
        self.complaint.tell(self.count.name, number, &why);
    }

    /// Starts the thread. `connect` is called there, because some clients cannot be made in others.
    fn start(
        name: &'static str,
        delay: Duration,
        count: Arc<SinkCount>,
        connect: impl FnOnce() -> Result<Send1<T>, String> + Send + 'static,
    ) -> Result<(Self, Exporter), String> {
        let (queue, things) = channel();
        let (connected, result) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let exporting = Self {
            queue,
            waiting: Arc::clone(&waiting),
            count: Arc::clone(&count),
            complaint: Complaint::default(),
        };
        let thread = thread::Builder::new().name(format!("otlp-{name}"));
        let thread = thread.spawn(move || match connect() {
            Ok(send) => {
                background::give_way();
                let _ = connected.send(Ok(()));
                send_all(&things, &waiting, (name, &count), delay, send);
            }
            Err(error) => {
                let _ = connected.send(Err(error));
            }
        });
        let thread = thread.map_err(|error| error.to_string())?;
        result
            .recv()
            .unwrap_or_else(|_| Err("its thread panicked".to_owned()))?;
        Ok((exporting, Exporter(thread)))
    }
}

impl Exporting<SpanData> {
    /// To where spans go.
    pub(crate) fn spans(
        environment: &Environment,
        count: Arc<SinkCount>,
    ) -> Result<(Self, Exporter), String> {
        let protocol = environment.protocol(Signal::Traces)?;
        let resource = environment.resource();
        let connect = move || -> Result<Send1<SpanData>, String> {
            let driver = Driver::of(protocol)?;
            let builder = SpanExporter::builder();
            let built = driver.within(|| match protocol {
                Protocol::Grpc => builder.with_tonic().with_protocol(protocol).build(),
                _ => builder.with_http().with_protocol(protocol).build(),
            });
            let mut exporter = built.map_err(|error| error.to_string())?;
            exporter.set_resource(&resource);
            Ok(Box::new(move |spans| driver.wait(exporter.export(spans))))
        };
        Self::start("traces", environment.delay(Signal::Traces), count, connect)
    }
}

impl Exporting<SdkLogRecord> {
    /// To where log records go.
    pub(crate) fn logs(environment: &Environment, count: Arc<SinkCount>) -> Result<(Self, Exporter), String> {
        let protocol = environment.protocol(Signal::Logs)?;
        let resource = environment.resource();
        let connect = move || -> Result<Send1<SdkLogRecord>, String> {
            let driver = Driver::of(protocol)?;
            let builder = LogExporter::builder();
            let built = driver.within(|| match protocol {
                Protocol::Grpc => builder.with_tonic().with_protocol(protocol).build(),
                _ => builder.with_http().with_protocol(protocol).build(),
            });
            let mut exporter = built.map_err(|error| error.to_string())?;
            exporter.set_resource(&resource);
            Ok(Box::new(move |records| {
                driver.wait(logs::export(&exporter, &records))
            }))
        };
        Self::start("logs", environment.delay(Signal::Logs), count, connect)
    }
}

impl Exporter {
    /// Waits until everything is sent or given up.
    pub(crate) fn finish(self) {
        if self.0.join().is_err() {
            tracing::error!("a thread that sends to the collector panicked; records may be missing");
        }
    }
}

/// Sends what comes, several at once, until nothing more can come.
fn send_all<T>(
    things: &Receiver<(Vec<T>, usize)>,
    waiting: &AtomicUsize,
    (name, count): (&str, &SinkCount),
    delay: Duration,
    mut send: Send1<T>,
) {
    let mut complaint = Complaint::default();
    while let Ok((mut batch, mut bytes)) = things.recv() {
        let until = Instant::now() + delay;
        while batch.len() < BATCH {
            match things.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((more, more_bytes)) => {
                    batch.extend(more);
                    bytes += more_bytes;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let number = batch.len();
        match send(batch) {
            Ok(()) => count.written(number),
            Err(error) => {
                count.lost(number);
                complaint.tell(name, number, &error);
            }
        }
        waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What the client of a protocol needs around it: gRPC a runtime, the one for HTTP none.
enum Driver {
    Grpc(tokio::runtime::Runtime),
    Http,
}

impl Driver {
    fn of(protocol: Protocol) -> Result<Self, String> {
        if protocol != Protocol::Grpc {
            return Ok(Self::Http);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(Self::Grpc).map_err(|error| error.to_string())
    }

    fn within<R>(&self, make: impl FnOnce() -> R) -> R {
        let _entered = match self {
            Self::Grpc(runtime) => Some(runtime.enter()),
            Self::Http => None,
        };
        make()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Grpc(runtime) => runtime.block_on(future),
            Self::Http => wait(future),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future that needs no runtime.
fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests;
