//! `portcullis check`: one question, with the answer and the whole reason.

mod asked;
mod check_request;
mod curl;
mod explain;
mod har;
mod show;
mod store;
mod tree;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use decide::Pipeline;
use decide::explain::Explanation;
use model::{
    Body, Check, Contract, Decide, Decision, Decoding, Headers, Host, HttpRequest, Malformed, NoMetadata,
    Pairs, Peer, Reason, RequestPath, Target,
};
use serde_json::Value;

use self::asked::{Asked, Form};
use self::explain::Explainer;
use self::tree::Colours;
use super::access::Access;
use super::{ConfigFile, Failure, Output, exit, runtime, say};
use crate::ask::{self, Answer, Question};
use crate::decision_log::Memory;

/// Ask one question.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Ask {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask a running server instead (its `listen.envoy_grpc` address), over gRPC as Envoy does; with --decision its
    /// `admin` address. `https://…` where that has TLS
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["config", "check_request"])]
    server: Option<String>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    asked: Asked,
    /// Print how the answer came about, as a tree: what was found, which route matched, what each policy says, and what
    /// would have changed the answer
    #[arg(long)]
    explain: bool,
    /// How the answer is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Where the admin listener is if nobody says.
const ADMIN: &str = "127.0.0.1:9192";

const AFTER_HELP: &str = "\
Examples:
  portcullis check GET https://api.example.test/workspaces/ws-alice -H 'authorization: Bearer …'
  portcullis check --explain --curl \"curl -X PUT https://api.example.test/x -H 'authorization: Bearer $TOKEN'\"
  portcullis check --explain --as 'User::\"main/alice\"' --role ws-alice:ws_access GET https://api.example.test/x
  portcullis check --explain --har session.har#3
  portcullis check --explain --decision 0b6f… --server 127.0.0.1:9192
  portcullis check --server https://gate.example.org:9191 --ca ca.crt GET https://api.example.test/x

No credential is ever printed. With -o json, --explain prints the document that docs/explain.md describes.
Exit codes: 0 allowed, 1 failed, 2 wrong usage, 3 denied, 4 invalid configuration.";

impl Ask {
    pub(super) fn run(self) -> ExitCode {
        let asked = self.asked.read().and_then(|form| match (&self.server, form) {
            (server, Form::Decision(id)) => self.remembered(server.as_deref().unwrap_or(ADMIN), &id),
            (Some(_), _) if self.explain => Err(Failure::Message(
                "--explain works with the configuration, or with --decision for a decision that a server made".to_owned(),
            )),
            (Some(_), Form::Request(_, Some(_))) => Err(Failure::Message(
                "--server: a request with a body cannot be asked about over gRPC from here".to_owned(),
            )),
            (Some(server), Form::Request(question, None)) => self.online(server, question),
            (_, form) => self.offline(&form),
        });
        asked.unwrap_or_else(Failure::tell)
    }

    fn offline(&self, form: &Form) -> Result<ExitCode, Failure> {
        let given = self.asked.given().map_err(Failure::Message)?;
        let loaded = self.file.load_for(self.output).map_err(Failure::Said)?;
        let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
        let memory = Memory::default();
        let explainer = runtime.block_on(async {
            let handle = tokio::runtime::Handle::current();
            let pipeline = Pipeline::start(loaded.rules, Box::new(memory.clone()), &handle)
                .map_err(|problems| Failure::Message(format!("{problems:?}")))?;
            let pipeline = Arc::new(pipeline);
            if let Some(section) = &loaded.config.authority {
                store::read(section, &pipeline).await;
            }
            let credential = match form {
                Form::Request(question, _) => {
                    question.headers.iter().any(|(name, _)| name == "authorization")
                }
                Form::Message(_) => true,
                Form::Decision(_) => false,
            };
            if credential && given.is_none() {
                let _ =
                    tokio::time::timeout(Duration::from_secs(10), pipeline.live().first_key_fetches()).await;
            }
            let explainer = Explainer::new(pipeline, given);
            match form {
                Form::Request(question, body) => {
                    decide_directly(&explainer, question, body.as_deref()).await;
                }
                Form::Message(message) => {
                    contracts::envoy::answer(
                        &explainer,
                        message,
                        contracts::envoy::Call::default(),
                        model::ListenerOptions::default(),
                    )
                    .await;
                }
                Form::Decision(_) => {}
            }
            Ok::<Explainer, Failure>(explainer)
        })?;
        let unanswered = || Failure::Message("the question was not answered".to_owned());
        let explanation = explainer.explanation(form).ok_or_else(unanswered)?;
        let allowed = explanation.verdict == "allow";
        if self.explain {
            self.print_explanation(&explanation);
        } else {
            self.print(allowed, &memory.last().unwrap_or_default());
        }
        Ok(code(allowed))
    }

    fn remembered(&self, admin: &str, id: &str) -> Result<ExitCode, Failure> {
        let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
        let explanation = runtime.block_on(explain::remembered(admin, &self.access, id))?;
        self.print_explanation(&explanation);
        Ok(code(explanation.verdict == "allow"))
    }

    fn print_explanation(&self, explanation: &Explanation) {
        if let Output::Json = self.output {
            let document = serde_json::to_value(explanation).unwrap_or_default();
            return say(&format!("{document:#}\n"));
        }
        let colours = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            Colours::On
        } else {
            Colours::Off
        };
        say(&show::text(explanation, colours));
    }

    fn online(&self, server: &str, question: Question) -> Result<ExitCode, Failure> {
        let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
        let tls = match server.strip_prefix("https://") {
            Some(_) => Some(self.access.trust.config().map_err(Failure::Message)?),
            None => None,
        };
        let answer: Answer = runtime
            .block_on(ask::over(server, tls, question))
            .map_err(|error| {
                let mut causes = String::new();
                let mut cause = error.source();
                while let Some(inner) = cause {
                    let _ = write!(causes, ": {inner}");
                    cause = inner.source();
                }
                Failure::Message(format!(
                    "cannot ask {server}: {error}{causes}\nis that the `listen.envoy_grpc` address of a running server?"
                ))
            })?;
        let mut record = serde_json::json!({
            "verdict": if answer.allowed { "allow" } else { "deny" },
            "reason": answer.reason,
            "status": answer.status,
            "policies": answer.policies,
            "decision_id": answer.decision_id,
            "version": answer.version,
            "why": "the server's decision log has the whole reason under this decision id",
        });
        if answer.allowed
            && let Some(record) = record.as_object_mut()
        {
            record.remove("status");
        }
        self.print(answer.allowed, &record);
        Ok(code(answer.allowed))
    }

    fn print(&self, allowed: bool, record: &Value) {
        if let Output::Json = self.output {
            return say(&format!("{record:#}\n"));
        }
        let mut text = match record["status"].as_u64() {
            Some(status) if !allowed => format!("deny {status}\n"),
            _ => format!("{}\n", if allowed { "allow" } else { "deny" }),
        };
        for (label, key) in [
            ("why", "why"),
            ("reason", "reason"),
            ("who", "principal"),
            ("client", "client"),
            ("action", "action"),
            ("resource", "resource"),
            ("other end", "other_end"),
            ("route", "route"),
            ("policies", "policies"),
            ("decision", "decision_id"),
            ("version", "version"),
        ] {
            let value = match &record[key] {
                Value::String(value) => value.clone(),
                Value::Array(values) => values
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
                _ => continue,
            };
            if !value.is_empty() {
                let _ = writeln!(text, "  {label:10}{value}");
            }
        }
        say(&text);
    }
}

fn code(allowed: bool) -> ExitCode {
    if allowed {
        ExitCode::SUCCESS
    } else {
        exit::denied()
    }
}

/// Asks the pipeline itself: the same walk as behind a door, without one.
async fn decide_directly(decide: &impl Decide, question: &Question, body: Option<&[u8]>) -> Decision {
    let refuse = |reason, detail: String| {
        decide.refuse(&Malformed {
            contract: Contract::Direct,
            reason,
            detail,
        })
    };
    let host = match Host::parse(&question.host) {
        Ok(host) => host,
        Err(refusal) => return refuse(Reason::InvalidHost, format!("the host was refused: {refusal}")),
    };
    let (path, query) = match RequestPath::parse_target(question.target.as_bytes(), Decoding::Raw) {
        Ok(parts) => parts,
        Err(refusal) => return refuse(Reason::AmbiguousPath, format!("the path was refused: {refusal}")),
    };
    let mut headers = Headers::default();
    for (name, value) in &question.headers {
        headers.push(name, value.as_bytes());
    }
    let check = Check {
        contract: Contract::Direct,
        target: Target::Http(HttpRequest {
            method: &question.method,
            scheme: &question.scheme,
            host,
            path,
            query,
            headers,
            body: body
                .filter(|body| !body.is_empty())
                .map_or(Body::Absent, Body::Whole),
        }),
        peer: Peer::default(),
        context_extensions: Pairs::new(),
        metadata: &NoMetadata,
        timeout: None,
        traceparent: None,
        listener: model::ListenerOptions::default(),
    };
    match decide.decide_now(&check) {
        Some(decision) => decision,
        None => decide.decide(&check).await,
    }
}
