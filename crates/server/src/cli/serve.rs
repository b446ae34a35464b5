//! `portcullis serve`: start, tell where, wait for a signal, stop in order.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{ConfigFile, eprint_invalid, exit, runtime};
use crate::config::Loaded;
use crate::decision_log::DecisionLog;
use crate::house::House;
use crate::otlp::Environment;
use crate::reload::Origin;

/// Answer proxies until stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// How the server's own log looks; it goes to standard error (what is in it: RUST_LOG, default `info`)
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// For machines: one JSON object a line
    Json,
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        let (loaded, origin) = match self.file.load_noting() {
            Ok(both) => both,
            Err(code) => return code,
        };
        eprint_invalid(&loaded.advice);
        self.start_log();
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "no runtime");
                return exit::FAILURE;
            }
        };
        match runtime.block_on(serve(loaded, origin)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error}");
                exit::FAILURE
            }
        }
    }

    fn start_log(&self) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        // It would log every event of a watched folder, and where the log is in that folder, each line is an event.
        let filter = match "notify=warn".parse() {
            Ok(quiet) => filter.add_directive(quiet),
            Err(_) => filter,
        };
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().init(),
        }
    }
}

/// Whoever sends a second signal knows of the first, and does not want to wait.
const IMPATIENT: &str = "told to stop twice: ended without finishing what was in flight";

async fn serve(loaded: Loaded, origin: Origin) -> Result<(), Box<dyn std::error::Error>> {
    let (log, writer) = DecisionLog::with_traces(&loaded.config.decision_log, &Environment::of_process())
        .map_err(|error| format!("cannot open the decision log (`decision_log`): {error}"))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let version = loaded.rules.version().clone();
    let (policies, routes) = (
        loaded.rules.policies().count(),
        loaded.rules.routes().routes().len(),
    );
    let house = House::start_reloading(loaded, origin, Box::new(log)).await?;
    tracing::info!(
        envoy_grpc = %house.envoy_grpc(),
        admin = %house.admin(),
        authority = house.authority().map(tracing::field::display),
        policies,
        routes,
        %version,
        "portcullis {} answers",
        env!("CARGO_PKG_VERSION"),
    );
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => house.reload(),
        }
    }
    tracing::info!("stopping: taking nothing new, finishing what is in flight");
    tokio::select! {
        () = house.stop() => {}
        _ = terminate.recv() => return Err(IMPATIENT.into()),
        _ = interrupt.recv() => return Err(IMPATIENT.into()),
    }
    if let Some(writer) = writer {
        tokio::task::spawn_blocking(move || writer.finish()).await?;
    }
    tracing::info!("stopped");
    Ok(())
}
