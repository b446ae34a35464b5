//! `portcullis healthcheck`: a probe for images without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::access::{Trust, unreachable};
use super::config::Settings;
use super::{ConfigFile, Failure, eprint_invalid, exit, runtime, say};
use crate::config::{self, AdminAt};

/// Ask a running server whether it is ready.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Healthcheck {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask at this address instead, or at this URL: https, if it has `admin_options.tls`
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    address: Option<String>,
    /// Ask only whether it is alive (`/livez`), ready or not
    #[arg(long)]
    live: bool,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
    #[command(flatten)]
    trust: Trust,
}

const AFTER_HELP: &str = "\
Where to ask is said by `admin` and `admin_options.tls` of the configuration. Nothing else that is wrong there matters:
a running server has refused it, and answers on. If it is not even YAML, 127.0.0.1:9192 is asked.

A probe that restarts the server asks with --live, and best with --address: who is not ready waits for an issuer or for
the store, and a restart does not bring them back.

Examples:
  portcullis healthcheck --config /etc/portcullis/portcullis.yaml
  portcullis healthcheck --address 127.0.0.1:9192 --live

Without --ca, the certificate of the server is not looked at: nothing secret is sent, and the answer is about a process
of this machine.

Exit codes: 0 ready (or alive), 1 not, or no answer in time, 2 wrong usage, 4 no such file, or no address in it.";

impl Healthcheck {
    pub(super) fn run(self) -> ExitCode {
        self.ask().unwrap_or_else(Failure::tell)
    }

    fn ask(&self) -> Result<ExitCode, Failure> {
        let base = match &self.address {
            Some(address) if address.contains("://") => address.trim_end_matches('/').to_owned(),
            Some(address) => format!("http://{address}"),
            None => self.configured()?,
        };
        let url = format!("{base}{}", if self.live { "/livez" } else { "/readyz?verbose" });
        let patience = Duration::from_secs(self.timeout);
        let client = self.trust.client_for_probes(patience).map_err(Failure::Message)?;
        let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
        let (status, body) = runtime
            .block_on(async {
                let answer = client.get(url).send().await?;
                Ok((answer.status().as_u16(), answer.text().await?))
            })
            .map_err(|error: reqwest::Error| Failure::Message(unreachable(&base, error)))?;
        say(&body);
        Ok(if status == 200 {
            ExitCode::SUCCESS
        } else {
            exit::FAILURE
        })
    }

    /// The admin listener of the configuration, as this machine reaches it.
    fn configured(&self) -> Result<String, Failure> {
        let overrides = ConfigFile::overrides(&Settings::default());
        let admin = config::admin(&self.file.path(), &overrides).map_err(|invalid| {
            eprint_invalid(&invalid);
            Failure::Said(exit::invalid())
        })?;
        Ok(admin_url(admin))
    }
}

/// Where the admin listener of the configuration is, as this machine reaches it.
pub(super) fn admin_url(admin: AdminAt) -> String {
    let scheme = if admin.encrypted { "https" } else { "http" };
    format!("{scheme}://{}", from_here(admin.address))
}

/// What listens on all addresses is asked at the loopback address.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
