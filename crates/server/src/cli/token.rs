//! `portcullis token`: a token explained, without ever printing it; and what is known of tokens that the house gave.

mod given;
mod show;

use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Subcommand;
use decide::identity::{self, DEFAULT_CACHE_BYTES, Identity, Inspection};

use super::remote::{asking, ended};
use super::{ConfigFile, Failure, Output, exit, runtime, say, tell};

/// More than this is not read: no token is that long.
const MAX_INPUT_BYTES: u64 = 1024 * 1024;

/// About tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Explain a token: what it says, which checks it passes, who it makes its bearer
    Inspect(Inspect),
    /// Print the tokens that the house gave, never the tokens themselves
    #[command(after_help = asking("  portcullis token list --subject main/7d2f6c1e-5b1a-4c55-9a38-0f6a3d1b8e01\n  portcullis token list --kind network --node node-b -o json"))]
    List(given::List),
    /// Print what is known of one of them
    #[command(after_help = asking("  portcullis token show 0b6f2d1c"))]
    Show(given::Named),
    /// End one of them: it is refused from now on
    #[command(after_help = asking("  portcullis token end 0b6f2d1c"))]
    End(given::Named),
}

/// Explain a token.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Inspect {
    /// Verify it with the issuers and keys of this configuration; without it, only the shape is checked
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the token from this file instead of standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How the answer is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Caught, so that it can be refused without being repeated on the terminal
    #[arg(hide = true)]
    token: Vec<String>,
}

const AFTER_HELP: &str = "\
The token is never an argument: arguments show in lists of processes and in the shell's history.
It may begin with `Bearer `. Neither the token nor its signature is printed; its claims are.

Examples:
  portcullis token inspect --config portcullis.yaml < token.txt    verified, and who it is
  wl-paste | portcullis token inspect                              what it says, verified by nobody

Exit codes: 0 verified (without --config: well-formed, not verified), 1 failed, 2 wrong usage,
3 refused, 4 invalid configuration.";

impl TokenVerb {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Inspect(inspect) => inspect.run(),
            Self::List(list) => ended(list.done()),
            Self::Show(named) => ended(named.show()),
            Self::End(named) => ended(named.end()),
        }
    }
}

impl Inspect {
    fn run(self) -> ExitCode {
        if !self.token.is_empty() {
            tell(
                "a token does not belong on the command line, where lists of processes show it: pipe it in, or use --file\n\n\
                 Usage: portcullis token inspect [OPTIONS] < FILE",
            );
            return ExitCode::from(2);
        }
        self.inspect().unwrap_or_else(Failure::tell)
    }

    fn inspect(&self) -> Result<ExitCode, Failure> {
        let authorization = authorization(self.read()?);
        let now = SystemTime::now();
        let inspection = match &self.config {
            Some(config) => verify(config.clone(), self.output, &authorization, now)?,
            None => identity::inspect(&authorization),
        };
        say(&match self.output {
            Output::Text => show::text(&inspection, now),
            Output::Json => format!("{:#}\n", show::json(&inspection, now)),
        });
        Ok(match inspection.refusal {
            None => ExitCode::SUCCESS,
            Some(_) => exit::denied(),
        })
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        let failed = |from: String| move |error| Failure::Message(format!("cannot read {from}: {error}"));
        match &self.file {
            Some(path) => {
                let from = path.display().to_string();
                std::fs::File::open(path).and_then(read_all).map_err(failed(from))
            }
            None => {
                let stdin = std::io::stdin();
                if stdin.is_terminal() {
                    tell("reading the token from here; end with Enter and Ctrl-D");
                }
                read_all(stdin.lock()).map_err(failed("standard input".to_owned()))
            }
        }
    }
}

/// Asks the issuers of the configuration, after their keys were fetched as for any check.
fn verify(
    config: PathBuf,
    output: Output,
    authorization: &[u8],
    now: SystemTime,
) -> Result<Inspection, Failure> {
    let loaded = ConfigFile::of(config).load_for(output).map_err(Failure::Said)?;
    let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
    runtime.block_on(async {
        let handle = tokio::runtime::Handle::current();
        let settings = &loaded.config.settings.identity;
        let identity = Identity::new(settings, DEFAULT_CACHE_BYTES, &handle, |_| ())
            .map_err(|problems| Failure::Message(format!("{problems:?}")))?;
        let _ = tokio::time::timeout(Duration::from_secs(10), identity.first_attempts()).await;
        Ok(identity.inspect(authorization, now).await)
    })
}

fn read_all(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_INPUT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The value an `Authorization` header with that token has. One line end goes; everything else is judged as it stands.
fn authorization(mut input: Vec<u8>) -> Vec<u8> {
    if input.last() == Some(&b'\n') {
        input.pop();
        if input.last() == Some(&b'\r') {
            input.pop();
        }
    }
    let scheme = b"Bearer ";
    let has_scheme = input
        .get(..scheme.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !has_scheme {
        input.splice(..0, scheme.iter().copied());
    }
    input
}
