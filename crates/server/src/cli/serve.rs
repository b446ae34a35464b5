//! `portcullis serve`: start, tell where, wait for a signal, stop in order.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::config::Settings;
use super::remote::usage;
use super::{ConfigFile, Failure, Output, eprint_invalid, exit, runtime};
use crate::config::Loaded;
use crate::decision_log::DecisionLog;
use crate::house::House;
use crate::otlp::Environment;
use crate::reload::Origin;
use crate::server_log::{ServerLog, log_panics};

/// Answer proxies until stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    settings: Settings,
    /// What is in the server's own log, which goes to standard error: `debug`, or `decide=debug,info` (also PORTCULLIS_LOG,
    /// else RUST_LOG) [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// How that log looks (also PORTCULLIS_LOG_FORMAT) [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

const AFTER_HELP: &str = "\
Flags count more than variables of the environment, those more than the file, and the file more than defaults.

Examples:
  portcullis serve --config portcullis.yaml
  portcullis serve --admin 127.0.0.1:9292 --threads 2 --log debug
  PORTCULLIS_LISTEN_ENVOY_GRPC=0.0.0.0:9191 portcullis serve --log-format json

Exit codes: 0 stopped as told, 1 failed, 2 wrong usage, 4 invalid configuration or policies.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// For machines: one JSON object a line
    Json,
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        let (loaded, origin) = match self.file.load_noting(&self.settings, Output::Text) {
            Ok(both) => both,
            Err(code) => return code,
        };
        eprint_invalid(&loaded.advice);
        // Its end is the last thing here: what is logged until then is written.
        let _log = match self.start_log() {
            Ok(log) => log,
            Err(failure) => return failure.tell(),
        };
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

    /// Starts the server's own log.
    fn start_log(&self) -> Result<ServerLog, Failure> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let said = self.log.clone().or_else(|| variable("PORTCULLIS_LOG"));
        let filter = match said {
            Some(text) => EnvFilter::try_new(&text)
                .map_err(|error| usage(format!("`{text}` says nothing about the log: {error}")))?,
            None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        };
        let format = match (self.log_format, variable("PORTCULLIS_LOG_FORMAT")) {
            (Some(format), _) => format,
            (None, Some(text)) => LogFormat::from_str(&text, false).map_err(|_| {
                usage(format!(
                    "PORTCULLIS_LOG_FORMAT is `text` or `json`, and not `{text}`"
                ))
            })?,
            (None, None) => LogFormat::Text,
        };
        // It would log every event of a watched folder, and where the log is in that folder, each line is an event.
        // And a panic is told whatever else is wanted.
        let always = ["notify=warn", "panic=error"];
        let always = always.iter().filter_map(|directive| directive.parse().ok());
        let filter = always.fold(filter, EnvFilter::add_directive);
        let (lines, server_log) = ServerLog::start(std::io::stderr())
            .map_err(|error| format!("no thread for the server's own log: {error}"))?;
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            // It would be said on standard error, and where nobody reads that, whoever logs would panic.
            .log_internal_errors(false)
            .with_writer(lines);
        match format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().init(),
        }
        log_panics();
        Ok(server_log)
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
