//! Servers under measurement: started on a processor of their own, watched until they answer, ended when dropped.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use portcullis::demo::child::{Guarded, tail};

use crate::folder::{Places, free};
use crate::machine;

/// How long a server may take to start: valgrind makes it fifty times slower, and 100,000 static policies are many.
const START: Duration = Duration::from_secs(300);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Guarded,
    log: PathBuf,
    /// Where it answers gRPC.
    pub(crate) grpc: SocketAddr,
    /// Where it answers Envoy's HTTP contract, if it does.
    pub(crate) http: Option<SocketAddr>,
    /// Where operators ask, if they can.
    pub(crate) admin: Option<SocketAddr>,
    /// How long it took until it answered.
    pub(crate) started: Duration,
}

/// What to start.
#[derive(Clone, Debug)]
pub(crate) enum Program<'a> {
    /// `portcullis serve` with a configuration.
    Portcullis(&'a Places),
    /// A yardstick, `tonic` or `ours`, that gives the answer in a file.
    Yardstick(&'a str, &'a Path),
}

/// What there is to start.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) portcullis: PathBuf,
    pub(crate) yardstick: PathBuf,
}

impl Server {
    /// Starts a program on these processors (`0`, `0,1`), under another one if there is a `wrapper`, and waits until it
    /// answers.
    pub(crate) fn start(
        binaries: &Binaries,
        program: &Program<'_>,
        cores: &str,
        wrapper: &[OsString],
        log: PathBuf,
    ) -> Result<Self, String> {
        let mut words: Vec<OsString> = ["-c", cores].map(Into::into).to_vec();
        words.extend_from_slice(wrapper);
        let (grpc, http, admin) = match program {
            Program::Portcullis(places) => {
                words.push(binaries.portcullis.clone().into());
                words.extend(["serve", "--config"].map(Into::into));
                words.push(places.config.clone().into());
                (places.grpc, Some(places.http), Some(places.admin))
            }
            Program::Yardstick(kind, answer) => {
                let address = free()?;
                words.push(binaries.yardstick.clone().into());
                words.extend([OsString::from(kind), address.to_string().into(), answer.into()]);
                (address, None, None)
            }
        };
        let begun = Instant::now();
        let child = Guarded::spawn(Path::new("taskset"), words, &log)
            .map_err(|error| format!("cannot start a server: {error}"))?;
        let mut server = Self {
            child,
            log,
            grpc,
            http,
            admin,
            started: Duration::ZERO,
        };
        server.wait(begun)?;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        machine::cpu(self.id(), |_| true)
    }

    /// The sample of its metrics that begins like that.
    pub(crate) fn metric(&self, sample: &str) -> Result<f64, String> {
        let admin = self.admin.ok_or("no admin address")?;
        let page = exchange(admin, "GET", "/metrics")?;
        page.lines()
            .find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
            .ok_or_else(|| format!("no `{sample}` among the metrics of {admin}"))
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        tail(&self.log, 12)
    }

    fn wait(&mut self, begun: Instant) -> Result<(), String> {
        loop {
            let up = match self.admin {
                Some(admin) => get(admin, "/readyz").is_ok_and(|status| status == 200),
                None => TcpStream::connect(self.grpc).is_ok(),
            };
            if up {
                self.started = begun.elapsed();
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.exited() {
                return Err(format!("a server ended with {status}:\n{}", self.log()));
            }
            if begun.elapsed() > START {
                return Err(format!("a server does not answer:\n{}", self.log()));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The status of a GET.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<u16, String> {
    request(address, "GET", path)
}

/// The status of a request without a body.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str) -> Result<u16, String> {
    let answer = exchange(address, method, path)?;
    status(&answer).ok_or_else(|| format!("{method} {path} at {address} is answered with {answer:?}"))
}

/// The whole answer to a request without a body.
fn exchange(address: SocketAddr, method: &str, path: &str) -> Result<String, String> {
    let said = |error: std::io::Error| format!("{method} {path} at {address}: {error}");
    let mut stream = TcpStream::connect(address).map_err(said)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .map_err(said)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    .map_err(said)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(said)?;
    Ok(answer)
}

fn status(answer: &str) -> Option<u16> {
    answer
        .strip_prefix("HTTP/1.1 ")?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn statuses() {
        assert_eq!(
            super::status("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            Some(503)
        );
        assert_eq!(super::status("nonsense"), None);
    }
}
