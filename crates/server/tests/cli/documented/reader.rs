//! Somebody at a terminal who does what a page says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use portcullis::demo::issuer::LocalIssuer;

use super::elsewhere::{ENDS_WITH, STANDS_FOR};
use super::page::{Command, Page, Step};
use super::surroundings::{self, Surroundings};
use crate::Ran;
use crate::serving::Server;

const SHELL: &str = include_str!("shell.sh");

/// Words of commands that ask a running server.
const ASK: [&str; 12] = [
    "127.0.0.1:919",
    "$ADMIN",
    "$GRPC",
    "$AUTHORITY",
    "$(",
    "portcullis revoke",
    "portcullis node",
    "portcullis remote-user",
    "portcullis keys",
    "portcullis token list",
    "portcullis healthcheck",
    "portcullis shadow",
];

/// A reader of one page.
pub(super) struct Reader<'i> {
    surroundings: Surroundings<'i>,
    variables: Vec<(&'static str, String)>,
    server: Option<Server>,
}

impl<'i> Reader<'i> {
    pub(super) fn of(page: &Page, issuer: &'i LocalIssuer) -> Self {
        let surroundings = Surroundings::new(&page.name.replace('/', "-"), Some(page), issuer);
        Self {
            variables: surroundings.variables(&page.name),
            surroundings,
            server: None,
        }
    }

    /// Does it, and says what was otherwise than the page has it.
    pub(super) fn follow(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::File { name, text } => {
                surroundings::write(&self.place().join(name), text);
                Ok(())
            }
            Step::Command(command) => self.run(command),
        }
    }

    fn run(&mut self, command: &Command) -> Result<(), String> {
        self.surroundings.settle(&self.place());
        let mut text = command.text.clone();
        for (written, meant) in STANDS_FOR {
            text = text.replace(written, meant);
        }
        if let Some((before, rest)) = text.split_once("portcullis serve") {
            self.surroundings.close_off(&self.place());
            self.serve(&format!("{before}exec portcullis serve{rest}"));
            return Ok(());
        }
        // Who has a folder of their own has a server of their own. Before that, pages speak of one that is there.
        let asks = ASK.iter().any(|word| text.contains(word));
        let house = self
            .server
            .as_ref()
            .is_some_and(|server| !server.authority.is_empty());
        if asks && !house && self.place() == self.folder() {
            self.serve("exec portcullis serve --config house.yaml");
        }
        let mut ran = self.shell(&text);
        // What is compared beside the answers comes a moment after them.
        let patience = Instant::now() + Duration::from_secs(30);
        while text.contains("shadow report")
            && !is_shown(&ran.out, &command.shown)
            && Instant::now() < patience
        {
            std::thread::yield_now();
            ran = self.shell(&text);
        }
        let told = |what: String| {
            let Command { place, text, .. } = command;
            Err(format!("{place}: {what}\n$ {text}\n{}{}", ran.out, ran.err))
        };
        let code = exit_code(command);
        if ran.code != Some(code) {
            return told(format!("the exit code is {:?}, and not {code}", ran.code));
        }
        if !is_shown(&ran.out, &command.shown) {
            return told(format!("this is not what it prints:\n{}", command.shown));
        }
        Ok(())
    }

    /// Starts the server in the place of the one before.
    fn serve(&mut self, text: &str) {
        self.server = None;
        let mut command = self.bash(text);
        command.env("PORTCULLIS_LOG_FORMAT", "json");
        self.server = Some(Server::start_by(command));
    }

    fn shell(&self, text: &str) -> Ran {
        let mut text = text.to_owned();
        if let Some(server) = &self.server {
            text = text
                .replace("127.0.0.1:9191", &server.envoy_grpc)
                .replace("127.0.0.1:9192", &server.admin);
        }
        let ran = Ran::of(&self.bash(&text).output().expect("bash"));
        let Some(server) = &self.server else { return ran };
        let there = |text: String| {
            text.replace(&server.envoy_grpc, "127.0.0.1:9191")
                .replace(&server.admin, "127.0.0.1:9192")
        };
        Ran {
            code: ran.code,
            out: there(ran.out),
            err: there(ran.err),
        }
    }

    /// A shell that goes on where the one before it ended.
    fn bash(&self, text: &str) -> process::Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_portcullis"));
        let mut path = binary.parent().expect("a folder").as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let (grpc, admin, authority) = self
            .server
            .as_ref()
            .map_or(("127.0.0.1:0", "127.0.0.1:0", ""), |it| {
                (it.envoy_grpc.as_str(), it.admin.as_str(), it.authority.as_str())
            });
        let here = format!(
            "GRPC={grpc}; ADMIN={admin}; AUTHORITY={authority}; PORTCULLIS_ADMIN={admin}; PORTCULLIS_LISTEN_ENVOY_GRPC={grpc}"
        );
        let mut command = process::Command::new("bash");
        command
            .args(["-c", &format!("{SHELL}\n{here}\n{text}")])
            .current_dir(self.folder())
            .env("PATH", path)
            .env("HOME", self.folder())
            .env("STATE", self.state())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env_remove("PORTCULLIS_UPDATE")
            .env_remove("TESTS_SKIPPED_FILE")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    fn folder(&self) -> &Path {
        &self.surroundings.folder
    }

    fn state(&self) -> PathBuf {
        self.folder().join(".state")
    }

    /// The folder that the reader is in.
    fn place(&self) -> PathBuf {
        let state = fs::read_to_string(self.state()).unwrap_or_default();
        let place = state
            .lines()
            .find_map(|line| line.strip_prefix("declare -x WHERE="));
        place.map_or(self.folder().to_owned(), |place| place.trim_matches('"').into())
    }
}

/// The exit code that goes with what the page shows: a denial, a failed test, a difference, or nothing of it.
fn exit_code(command: &Command) -> i32 {
    let shown = &command.shown;
    let listed = ENDS_WITH.iter().find(|(part, _)| command.text.contains(part));
    match listed {
        Some((_, code)) => *code,
        None if shown.starts_with("deny") || shown.contains(" -> ") => 3,
        None if shown.contains(" failed") && !shown.contains(" 0 failed") => 5,
        None => 0,
    }
}

/// Whether these lines are printed, in this order, with others between them; `…` is anything. A line that begins with one
/// blank goes on with a document of the line before it.
fn is_shown(printed: &str, shown: &str) -> bool {
    let shown = if shown.starts_with('{') {
        shown.replace("\n ", "")
    } else {
        shown.to_owned()
    };
    let mut printed = printed.lines();
    let mut wanted = shown.lines().filter(|line| !line.is_empty());
    wanted.all(|line| {
        printed.any(|printed| {
            let mut rest = Some(printed);
            for (n, part) in line.split('…').enumerate() {
                rest = rest.and_then(|rest| match n {
                    0 => rest.strip_prefix(part),
                    _ => rest.split_once(part).map(|(_, rest)| rest),
                });
            }
            rest.is_some_and(|rest| rest.is_empty() || line.ends_with('…'))
        })
    })
}
