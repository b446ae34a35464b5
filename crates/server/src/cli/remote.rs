//! Asking the admin API of a running server: where, as whom, and what its answers mean for the exit code.

pub(super) mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use reqwest::{Client, Method, Url};
use serde_json::Value;

use self::table::Column;
use super::access::{Access, TOKEN, base, unreachable};
use super::{Failure, exit, runtime, say, tell};

/// The server answers within 20 s, or says that it cannot.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest page that the server gives.
const PAGE: usize = 1000;

/// What every verb that asks the admin API says at the end of its help.
const EXIT_CODES: &str = "\
The token of whoever asks is read from --token-file or PORTCULLIS_TOKEN; it is never an argument: arguments
show in lists of processes. What somebody may do is said by the policies of `authority.policies`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server says no, 4 the server finds the request invalid.";

/// The end of the help of such a verb, with its examples.
pub(super) fn asking(examples: &str) -> String {
    format!("Examples:\n{examples}\n\n{EXIT_CODES}")
}

/// Where to ask, as whom, and how to print.
#[derive(Debug, clap::Args)]
pub(super) struct Remote {
    /// The `admin` address of the server; https, if it has `admin_options.tls`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9192")]
    server: String,
    #[command(flatten)]
    access: Access,
    /// How the answer is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How much of a list is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Limit {
    /// Print no more than so many; without it, all
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// As the server tells it
    Json,
}

/// A request: a method, the path below `/admin/v1`, its query and its body.
pub(super) struct Ask<'a> {
    method: Method,
    path: &'a [&'a str],
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl<'a> Ask<'a> {
    fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
        }
    }

    pub(super) fn get(path: &'a [&'a str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: &'a [&'a str], body: Value) -> Self {
        Self::new(Method::POST, path).with_body(body)
    }

    pub(super) fn put(path: &'a [&'a str], body: Value) -> Self {
        Self::new(Method::PUT, path).with_body(body)
    }

    pub(super) fn delete(path: &'a [&'a str]) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Asks only for what is so; nothing is added for `None`.
    pub(super) fn only(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

impl Remote {
    /// Asks once.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Value, Failure> {
        let session = Session::open(self)?;
        session.ask(ask)
    }

    /// Asks for page after page of a list, `member` of each answer.
    pub(super) fn list(&self, mut ask: Ask<'_>, member: &str, limit: &Limit) -> Result<Vec<Value>, Failure> {
        let session = Session::open(self)?;
        let most = limit.limit.unwrap_or(usize::MAX);
        let filters = ask.query.len();
        let mut items = Vec::new();
        let mut next = String::new();
        while items.len() < most {
            ask.query.truncate(filters);
            let size = (most - items.len()).min(PAGE);
            ask.query.push(("page_size", size.to_string()));
            if !next.is_empty() {
                ask.query.push(("page_token", next.clone()));
            }
            let mut answer = session.ask(&ask)?;
            let Value::Array(page) = answer[member].take() else {
                return Err(Failure::Message(format!(
                    "{} does not answer with a list of {member}",
                    self.server
                )));
            };
            items.extend(page);
            answer["next_page_token"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut next);
            if next.is_empty() {
                break;
            }
        }
        if !next.is_empty() {
            tell("there are more than --limit says");
        }
        Ok(items)
    }

    /// Prints a list: a table for people.
    pub(super) fn print_all(&self, items: Vec<Value>, columns: &[Column]) {
        match self.output {
            Output::Json => say(&format!("{:#}\n", Value::Array(items))),
            Output::Text => say(&table::rows(&items, columns)),
        }
    }

    /// Prints one thing: a line for each part of it, for people.
    pub(super) fn print(&self, item: &Value) {
        match self.output {
            Output::Json => say(&format!("{item:#}\n")),
            Output::Text => say(&table::record(item)),
        }
    }

    /// Says that it is done, to people.
    pub(super) fn done(&self, what: &str) {
        if self.output == Output::Text {
            say(&format!("{what}\n"));
        }
    }
}

/// Requests to one server with one token.
struct Session {
    runtime: tokio::runtime::Runtime,
    client: Client,
    base: Url,
    token: Option<String>,
    server: String,
}

impl Session {
    fn open(remote: &Remote) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Message(error.to_string());
        let base = base(&remote.server).map_err(usage)?;
        let token = remote.access.token()?;
        let client = remote
            .access
            .trust
            .client(PATIENCE)
            .map_err(|error| failed(&error))?;
        Ok(Self {
            runtime: runtime().map_err(|error| failed(&error))?,
            client,
            base,
            token,
            server: remote.server.clone(),
        })
    }

    fn ask(&self, ask: &Ask<'_>) -> Result<Value, Failure> {
        self.runtime.block_on(self.send(ask))
    }

    async fn send(&self, ask: &Ask<'_>) -> Result<Value, Failure> {
        let unreachable = |error| Failure::Message(unreachable(&self.server, error));
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["admin", "v1"]).extend(ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut request = self.client.request(ask.method.clone(), url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &ask.body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(unreachable)?;
        match status {
            204 => Ok(Value::Null),
            200..=299 => serde_json::from_str(&body).map_err(|error| {
                Failure::Message(format!("{} does not answer with JSON: {error}", self.server))
            }),
            _ => Err(self.refusal(status, &body)),
        }
    }

    /// Tells why not, and how to find out more.
    fn refusal(&self, status: u16, body: &str) -> Failure {
        let problem: Value = serde_json::from_str(body).unwrap_or_default();
        let detail = table::plain(problem["detail"].as_str().unwrap_or_else(|| body.trim()));
        if let Some(decision) = problem["decision_id"].as_str() {
            let decision = table::plain(decision);
            let mut told = format!("the server says no: {detail}, decision {decision}");
            if status == 401 && self.token.is_none() {
                told += &format!("\nthere was no token: --token-file FILE, or {TOKEN}");
            } else {
                told += "\nits decision log says why under that id; what somebody may is said by `authority.policies`";
            }
            tell(&told);
            return Failure::Said(exit::denied());
        }
        match status {
            400 => {
                tell(&format!("the server finds that invalid: {detail}"));
                Failure::Said(exit::invalid())
            }
            // The server has no such path, or is asked from another host.
            404 if problem.is_null() => Failure::Message(format!(
                "{} has no admin API: is that the `admin` address of a server with `authority` in its configuration?",
                self.server
            )),
            _ => Failure::Message(format!("{} says {status}: {detail}", self.server)),
        }
    }
}

/// Wrong usage that only a look at the values finds.
pub(super) fn usage(message: impl std::fmt::Display) -> Failure {
    tell(&message.to_string());
    Failure::Said(exit::usage())
}

/// Ends a verb.
pub(super) fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}
