//! The command line: verbs are ordinary words, exit codes mean something.

mod access;
mod check;
mod config;
mod doctor;
mod healthcheck;
mod init;
mod keys;
mod lint;
mod man;
mod matrix;
mod node;
mod remote;
mod remote_user;
mod revoke;
mod serve;
mod shadow;
mod test;
mod token;
mod validate;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::config::{self as configuration, Overrides};
use crate::demo;
use crate::reload::Origin;
use crate::stack;

/// Exit codes: 0 done (or allowed), 1 failed, 2 wrong usage, 3 denied (or refused), 4 invalid configuration, 5 tests of
/// policies failed.
pub mod exit {
    use std::process::ExitCode;

    /// Something failed while running.
    pub const FAILURE: ExitCode = ExitCode::FAILURE;
    /// The command line says too little, or what cannot be.
    pub fn usage() -> ExitCode {
        ExitCode::from(2)
    }
    /// `check`: the answer is no. `token inspect`: the token is refused.
    pub fn denied() -> ExitCode {
        ExitCode::from(3)
    }
    /// The configuration, policies or suites are not valid.
    pub fn invalid() -> ExitCode {
        ExitCode::from(4)
    }
    /// `test`: some answer is not the right one. `matrix --check`: the committed table is out of date.
    pub fn tests_failed() -> ExitCode {
        ExitCode::from(5)
    }
}

/// Portcullis decides whether a request may pass: an ingress proxy asks, Cedar policies answer.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, term_width = 120, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Examples:
  portcullis demo                                    a real Envoy, real tokens, a table of answers
  portcullis init --pack default my-gate             a folder to start from; without --pack, which there are
  portcullis validate --config portcullis.yaml       every problem at once, before anything runs
  portcullis serve --config portcullis.yaml
  portcullis check GET https://api.example.test/workspaces/ws-alice -H 'authorization: Bearer …'
  portcullis check --explain --curl 'curl -X PUT https://api.example.test/workspaces/ws-alice -H …'
  portcullis test policies                           the tests of policies, offline
  portcullis token inspect --config portcullis.yaml < token.txt
  portcullis revoke token --from-token-file leaked.txt   it stops counting now
  portcullis healthcheck --config portcullis.yaml    whether the server is ready, for probes
  portcullis shadow report                           what candidate policies would answer otherwise
  portcullis config show --origin                    what is in force, and where each value came from
  portcullis doctor --config portcullis.yaml         whether everything around it is as it should be

Exit codes: 0 done or allowed, 1 failed, 2 wrong usage, 3 denied or refused,
4 invalid configuration or policies, 5 tests of policies failed.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Answer proxies until stopped (SIGTERM or Ctrl-C finish what is in flight first; SIGHUP reloads)
    Serve(serve::Serve),
    /// Show it: a local issuer, a real Envoy, an echo upstream, and a table of answers
    Demo(demo::Demo),
    /// Write a folder to start from: configuration, policies, tests, and a page that says what to change
    Init(init::Init),
    /// Ask one question and print the answer and the reason
    Check(Box<check::Ask>),
    /// Ask a running server whether it is ready: a probe for images without a shell
    Healthcheck(healthcheck::Healthcheck),
    /// Look at everything around the server: issuers, clocks, listeners, certificates, files, store, the proxy in front
    Doctor(doctor::Doctor),
    /// Check the configuration, schema, policies and routes, and print every problem
    Validate(validate::Validate),
    /// Run the tests of policies: suites of questions with their right answers
    Test(test::Test),
    /// Print who may do what as a table, or compare it with the committed one
    Matrix(matrix::Matrix),
    /// Look for what is valid and probably not meant: policies without names, without tests, twice, too wide
    Lint(lint::Lint),
    /// Print the whole Cedar schema: your entity types with the generated actions and context
    Schema(Schema),
    /// About tokens: explain one; print and end those that the house gave
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Revoke credentials: they stop counting now
    #[command(subcommand)]
    Revoke(revoke::RevokeVerb),
    /// About the nodes whose users may come here
    #[command(subcommand)]
    Node(node::NodeVerb),
    /// About the users of other nodes, and who they are here
    #[command(subcommand)]
    RemoteUser(remote_user::RemoteUserVerb),
    /// About the keys that the house signs with
    #[command(subcommand)]
    Keys(keys::KeysVerb),
    /// About candidate policies (`shadow`): what they would answer otherwise
    #[command(subcommand)]
    Shadow(shadow::ShadowVerb),
    /// About the configuration: what can be said, and what is in force
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Print the completions of a shell
    Completions(man::Completions),
    /// Print the manual, or write a page for each verb
    Man(man::Man),
    /// Print the version
    #[command(after_help = "Examples:\n  portcullis version")]
    Version,
}

const SCHEMA: &str = "\
Examples:
  portcullis schema --config policies/default/portcullis.yaml
  portcullis schema --config portcullis.yaml --authority

Exit codes: 0 done, 1 there is no `authority`, 2 wrong usage, 4 invalid configuration or policies.";

/// The whole Cedar schema.
#[derive(Debug, clap::Args)]
#[command(after_help = SCHEMA)]
struct Schema {
    #[command(flatten)]
    config: ConfigFile,
    /// That of the policies about the house itself (`authority.policies`)
    #[arg(long)]
    authority: bool,
}

impl Schema {
    fn run(self) -> ExitCode {
        let loaded = match self.config.load() {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let text = if self.authority {
            loaded.rules.house_schema_text()
        } else {
            Some(loaded.rules.policies().schema_text())
        };
        let Some(text) = text else {
            return Failure::Message("the configuration has no `authority`".to_owned()).tell();
        };
        say(text);
        ExitCode::SUCCESS
    }
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file [default: what PORTCULLIS_CONFIG says, else portcullis.yaml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

impl ConfigFile {
    /// That file.
    fn of(path: PathBuf) -> Self {
        Self { config: Some(path) }
    }

    fn path(&self) -> PathBuf {
        let said = self.config.clone();
        let variable = || std::env::var_os("PORTCULLIS_CONFIG").filter(|file| !file.is_empty());
        said.or_else(|| variable().map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from("portcullis.yaml"))
    }

    /// What flags and the environment say instead of the file.
    fn overrides(settings: &config::Settings) -> Overrides {
        let environment = std::env::vars_os();
        let texts =
            environment.filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
        Overrides::of(&settings.said(), texts)
    }

    /// Loads it, or prints what is wrong.
    fn load(&self) -> Result<configuration::Loaded, ExitCode> {
        self.load_for(Output::Text)
    }

    /// The same; what is wrong is printed in that way.
    fn load_for(&self, output: Output) -> Result<configuration::Loaded, ExitCode> {
        let (loaded, _) = self.load_noting(&config::Settings::default(), output)?;
        Ok(loaded)
    }

    /// The same where flags say some settings, with where everything came from.
    fn load_noting(
        &self,
        settings: &config::Settings,
        output: Output,
    ) -> Result<(configuration::Loaded, Origin), ExitCode> {
        let overrides = Self::overrides(settings);
        let file = self.path();
        let (loaded, reads) = configuration::load_noting(&file, &overrides);
        match loaded {
            Ok(loaded) => {
                let origin = Origin {
                    file,
                    reads,
                    overrides,
                };
                Ok((loaded, origin))
            }
            Err(invalid) => {
                tell_invalid(std::slice::from_ref(&invalid), output);
                Err(exit::invalid())
            }
        }
    }
}

impl Cli {
    /// The command line with these arguments, the first of which is the program's name. Ends the process with a word about
    /// what is wrong if there is no such command line.
    pub fn of(arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self::parse_from(arguments)
    }

    /// Runs the verb.
    pub fn run(self) -> ExitCode {
        let code = stack::with_room(|| self.run_here()).unwrap_or_else(|error| {
            tell(&format!("no thread: {error}"));
            exit::FAILURE
        });
        match UNSAID.load(Ordering::Relaxed) {
            true => exit::FAILURE,
            false => code,
        }
    }

    fn run_here(self) -> ExitCode {
        match self.verb {
            Verb::Serve(serve) => serve.run(),
            Verb::Demo(demo) => demo.run(),
            Verb::Init(init) => init.run(),
            Verb::Check(ask) => ask.run(),
            Verb::Healthcheck(healthcheck) => healthcheck.run(),
            Verb::Doctor(doctor) => doctor.run(),
            Verb::Validate(validate) => validate.run(),
            Verb::Test(test) => test.run(),
            Verb::Matrix(matrix) => matrix.run(),
            Verb::Lint(lint) => lint.run(),
            Verb::Token(verb) => verb.run(),
            Verb::Shadow(verb) => verb.run(),
            Verb::Revoke(verb) => verb.run(),
            Verb::Node(verb) => verb.run(),
            Verb::RemoteUser(verb) => verb.run(),
            Verb::Keys(verb) => verb.run(),
            Verb::Schema(schema) => schema.run(),
            Verb::Config(verb) => verb.run(),
            Verb::Completions(completions) => completions.run(),
            Verb::Man(man) => man.run(),
            Verb::Version => {
                say(concat!("portcullis ", env!("CARGO_PKG_VERSION"), "\n"));
                ExitCode::SUCCESS
            }
        }
    }
}

/// Whether standard output did not take what the verb is for.
static UNSAID: AtomicBool = AtomicBool::new(false);

/// Prints what the verb is for. Nobody reading any more (`| head`) is not an error; a disk that is full is one.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = said
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        UNSAID.store(true, Ordering::Relaxed);
        tell(&format!("cannot write to standard output: {error}"));
    }
}

/// Tells the person at the terminal, who may be gone.
pub(crate) fn tell(text: &str) {
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let _ = std::io::stderr().write_all(format!("{text}{end}").as_bytes());
}

/// Problems go to standard error, with a count at the end; for programs to standard output, as a document.
fn tell_invalid(invalid: &[configuration::Invalid], output: Output) {
    if output == Output::Json {
        let problems: Vec<Value> = invalid.iter().flat_map(configuration::Invalid::json).collect();
        return say(&format!(
            "{:#}\n",
            json!({ "valid": false, "problems": problems })
        ));
    }
    let mut errors = 0;
    for invalid in invalid {
        tell(&invalid.to_string());
        errors += invalid.errors();
    }
    if errors > 0 {
        let s = if errors == 1 { "" } else { "s" };
        tell(&format!("{errors} problem{s} to mend"));
    }
}

fn eprint_invalid(invalid: &configuration::Invalid) {
    tell_invalid(std::slice::from_ref(invalid), Output::Text);
}

/// Why a verb ends early.
enum Failure {
    /// Told already.
    Said(ExitCode),
    /// Still to tell.
    Message(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl Failure {
    /// Tells what is still to tell, and gives the exit code.
    fn tell(self) -> ExitCode {
        match self {
            Self::Said(code) => code,
            Self::Message(message) => {
                tell(&message);
                exit::FAILURE
            }
        }
    }
}

/// A runtime for verbs that wait for something.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(stack::ANSWERING)
        .enable_all()
        .build()
}
