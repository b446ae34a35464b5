//! `portcullis doctor`: whether everything around the server is as it should be, and what to do about the rest.

mod issuers;
mod listeners;
mod proxy;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use authority::{ServerLook, Store, StoreError};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::config::Settings;
use super::{ConfigFile, Failure, Output, exit, runtime, say};
use crate::config::{Config, Loaded};
use crate::tls::Tls;

/// What a probe may take; all of them run at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Look at everything around the server.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Doctor {
    #[command(flatten)]
    file: ConfigFile,
    /// Answer at the configured addresses for so many seconds, if they are free, and tell what the proxy in front sends
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    listen: Option<u64>,
    #[command(flatten)]
    settings: Settings,
    /// How the findings are printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "\
It asks each issuer for its keys and compares clocks, looks whether the addresses of listeners are free or answer, and at
certificates, files and the store; in a PostgreSQL server it logs in as the store would, and writes nothing. If the server
runs here, its metrics tell what proxies sent. Otherwise, with --listen, it is that server for a while, with the policies of
the configuration, and tells what comes.

Each line begins with [+] good, [!] to be looked at, or [-] wrong, and says what to do. A probe takes 5 seconds at most, and
all run at once.

Examples:
  portcullis doctor --config policies/default/portcullis.yaml
  portcullis doctor --config policies/default/portcullis.yaml --listen 30
  portcullis doctor --config policies/default/portcullis.yaml -o json

Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage, 4 invalid configuration or policies.";

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Good,
    Doubtful,
    Wrong,
}

/// What was found of one thing.
#[derive(Clone, Debug)]
struct Finding {
    mark: Mark,
    /// What it is about: a setting, an issuer.
    about: String,
    /// How it is.
    found: String,
    /// What to do about it; may be empty.
    help: String,
}

impl Finding {
    fn good(about: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            mark: Mark::Good,
            about: about.into(),
            found: found.into(),
            help: String::new(),
        }
    }

    fn doubtful(about: impl Into<String>, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            mark: Mark::Doubtful,
            help: help.into(),
            ..Self::good(about, found)
        }
    }

    fn wrong(about: impl Into<String>, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            mark: Mark::Wrong,
            ..Self::doubtful(about, found, help)
        }
    }
}

impl Mark {
    /// The sign before the line, and the word for programs.
    fn sign(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("[+]", "good"),
            Self::Doubtful => ("[!]", "doubtful"),
            Self::Wrong => ("[-]", "wrong"),
        }
    }
}

impl Doctor {
    pub(super) fn run(self) -> ExitCode {
        let (loaded, _) = match self.file.load_noting(&self.settings, self.output) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return Failure::Message(error.to_string()).tell(),
        };
        let findings = runtime.block_on(findings(loaded, self.listen.map(Duration::from_secs)));
        say(&match self.output {
            Output::Text => text(&findings),
            Output::Json => format!("{:#}\n", document(&findings)),
        });
        match findings.iter().any(|it| it.mark == Mark::Wrong) {
            true => exit::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }
}

async fn findings(loaded: Loaded, listen: Option<Duration>) -> Vec<Finding> {
    let config = &loaded.config;
    let mut findings = configuration(&loaded);
    let identity = &config.settings.identity;
    let (of_issuers, (of_listeners, metrics), of_store) =
        tokio::join!(issuers::look(identity), listeners::look(config), store(config));
    findings.extend(of_issuers);
    findings.extend(of_listeners);
    findings.extend(certificates(config));
    findings.extend(files(config));
    findings.extend(of_store);
    findings.extend(match (metrics, listen) {
        (Some(metrics), _) => proxy::by_metrics(&metrics),
        (None, Some(time)) => proxy::listen(loaded, time).await,
        (None, None) => vec![Finding::doubtful(
            "proxy",
            "no server runs here that could tell what the proxy in front sends",
            "start it, or let `portcullis doctor --listen 30` answer for a while; docs/doors.md says what each proxy should send",
        )],
    });
    findings
}

/// The rules: they are valid, or there would be no findings.
fn configuration(loaded: &Loaded) -> Vec<Finding> {
    let (policies, routes) = (
        loaded.rules.policies().count(),
        loaded.rules.routes().routes().len(),
    );
    let mut findings = vec![Finding::good(
        "configuration",
        format!(
            "valid: policies: {policies}, routes: {routes}, version: {}",
            loaded.rules.version()
        ),
    )];
    let advice = loaded.advice.problems().len();
    if advice > 0 {
        let found = format!("there is advice about it: {advice}");
        findings.push(Finding::doubtful(
            "configuration",
            found,
            "`portcullis validate` prints it",
        ));
    }
    findings
}

/// The certificates of listeners.
fn certificates(config: &Config) -> Vec<Finding> {
    let now = SystemTime::now();
    let told = Tls::new(&config.tls).told();
    let finding = |told: crate::tls::Certificate| {
        let about = format!("certificate of {}", told.setting);
        let help = "put another one in its place: a running server reads it without a restart";
        match told.flaw {
            None => Finding::good(about, told.expires),
            Some(flaw)
                if told.until.is_some_and(|until| until > now) && !flaw.contains("not valid before") =>
            {
                Finding::doubtful(about, flaw, help)
            }
            Some(flaw) => Finding::wrong(about, flaw, help),
        }
    };
    told.into_iter().map(finding).collect()
}

/// Files that only the server should be able to read. That they can be read at all is known by now.
fn files(config: &Config) -> Vec<Finding> {
    let http = config.listen.http.iter().map(|listener| &listener.tls);
    let authority = config.authority.as_ref().map(|section| &section.tls);
    let all = [&config.listen.envoy_grpc_options.tls, &config.admin_options.tls];
    let keys = all
        .into_iter()
        .chain(http)
        .chain(authority)
        .flatten()
        .map(|tls| &tls.key);
    let mut findings = Vec::new();
    for key in keys {
        let Ok(data) = std::fs::metadata(key) else {
            continue;
        };
        if data.permissions().mode() & 0o004 != 0 {
            findings.push(Finding::doubtful(
                "private key",
                format!("everybody on this machine can read {}", key.display()),
                "take that away: `chmod o-rwx`",
            ));
        }
    }
    if let Some(file) = &config.decision_log.more.file {
        let folder = file
            .parent()
            .filter(|it| !it.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        findings.push(writable("decision_log", file, folder));
        if config.decision_log.rotates() {
            findings.extend(unmovable(file, folder));
        }
    }
    findings
}

fn writable(about: &str, file: &Path, folder: &Path) -> Finding {
    let opened = std::fs::OpenOptions::new().append(true).open(file);
    match opened {
        Ok(_) => Finding::good(about, format!("{} can be written", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => {
            Finding::good(about, format!("{} will be made", file.display()))
        }
        Err(error) => Finding::wrong(
            about,
            format!("{} cannot be written: {error}", file.display()),
            "the user of the server needs a folder that is there and may be written",
        ),
    }
}

/// What keeps a log from being moved away when it is full.
fn unmovable(file: &Path, folder: &Path) -> Option<Finding> {
    use rustix::fs::Access;
    // Pipes and devices are never full.
    if std::fs::metadata(file).is_ok_and(|data| !data.is_file()) {
        return None;
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let why = if file.canonicalize().is_ok_and(|file| is_mounted(&mounts, &file)) {
        "it is mounted by itself".to_owned()
    } else {
        let error = rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).err()?;
        format!("nothing can be moved in {}: {error}", folder.display())
    };
    Some(Finding::doubtful(
        "decision_log",
        format!("{} cannot be moved away when it is full: {why}", file.display()),
        "it would only grow: mount a folder that may be written, or say `rotate_bytes: 0` and rotate it yourself",
    ))
}

/// Whether something is mounted at that place, as `/proc/self/mountinfo` says it (proc(5)).
fn is_mounted(mounts: &str, place: &Path) -> bool {
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    places.map(Path::new).any(|mounted| mounted == place)
}

/// The store of the authority. A PostgreSQL server is connected to as it will be; nothing is written.
async fn store(config: &Config) -> Vec<Finding> {
    let Some(section) = &config.authority else {
        return Vec::new();
    };
    let about = "authority.store";
    let url = section.store.store.expose_secret();
    if let Some(file) = url.strip_prefix("sqlite:") {
        let file = Path::new(file.trim_start_matches("//"));
        let folder = file
            .parent()
            .filter(|it| !it.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        return vec![writable(about, file, folder)];
    }
    let looked = tokio::time::timeout(PATIENCE, Store::look_at_server(&section.store)).await;
    vec![match looked {
        Ok(Ok(None)) => return Vec::new(),
        Ok(Ok(Some(look))) => server(about, &look),
        Ok(Err(StoreError::Unavailable(why))) => Finding::wrong(
            about,
            why,
            "until it answers every credential is refused; is the address right, and may this machine get there?",
        ),
        Ok(Err(why)) => Finding::wrong(
            about,
            why.to_string(),
            "the server does not start with that: its user, password and database must be those of PostgreSQL",
        ),
        Err(_) => Finding::wrong(
            about,
            format!("no answer within {PATIENCE:?}"),
            "until it answers every credential is refused",
        ),
    }]
}

/// A PostgreSQL server that lets us in.
fn server(about: &str, look: &ServerLook) -> Finding {
    let ServerLook {
        name,
        version,
        user,
        takes_no_changes,
        can_make_tables,
        can_write_tables,
    } = look;
    let found = format!("{name}, version {version}, lets {user} in");
    if *takes_no_changes {
        let found = format!("{found}, and takes no changes: it is a standby, or for reading only");
        return Finding::wrong(about, found, "the address must lead to the primary");
    }
    if !can_make_tables {
        let found = format!("{found}, who may make no tables there");
        let help = format!("`GRANT CREATE ON SCHEMA public TO {user}`, or another schema that is its own");
        return Finding::wrong(about, found, help);
    }
    match can_write_tables {
        Some(false) => Finding::wrong(
            about,
            format!("{found}, who may not read and write its tables"),
            format!("`GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}`, or make {user} their owner"),
        ),
        Some(true) => Finding::good(about, format!("{found}; its tables are there")),
        None => Finding::good(about, format!("{found}; its tables will be made")),
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding {
        mark,
        about,
        found,
        help,
    } in findings
    {
        text += &format!("{} {about}: {found}\n", mark.sign().0);
        if !help.is_empty() {
            text += &format!("    {help}\n");
        }
    }
    let count = |mark| findings.iter().filter(|it| it.mark == mark).count();
    let (wrong, doubtful) = (count(Mark::Wrong), count(Mark::Doubtful));
    text + &format!("{wrong} wrong, {doubtful} to be looked at\n")
}

fn document(findings: &[Finding]) -> Value {
    let rows = findings
        .iter()
        .map(|it| json!({ "mark": it.mark.sign().1, "about": it.about, "found": it.found, "help": it.help }));
    let wrong = findings.iter().any(|it| it.mark == Mark::Wrong);
    json!({ "good": !wrong, "findings": rows.collect::<Vec<_>>() })
}
