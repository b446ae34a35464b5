//! `portcullis check`: one question, with the answer and the whole reason.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use decide::Pipeline;
use model::{
    Body, Check, Contract, Decide as _, Decision, Decoding, Headers, Host, HttpRequest, Malformed,
    NoMetadata, Pairs, Peer, Reason, RequestPath, Target,
};
use serde_json::Value;

use super::{ConfigFile, Failure, exit, runtime, say};
use crate::ask::{self, Answer, Question};
use crate::decision_log::Memory;

/// Ask one question.
#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask a running server instead (its `listen.envoy_grpc` address), over gRPC as Envoy does
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    server: Option<String>,
    /// The method, such as GET
    method: String,
    /// The URL, taken as it stands: nothing is normalised before it is judged
    url: String,
    /// A request header; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// How the answer is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// The decision record, or what a server tells of it
    Json,
}

impl Ask {
    pub(super) fn run(self) -> ExitCode {
        let asked = self.question().and_then(|question| match &self.server {
            Some(server) => self.online(server, question),
            None => self.offline(&question),
        });
        asked.unwrap_or_else(Failure::tell)
    }

    fn question(&self) -> Result<Question, Failure> {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("https", &self.url));
        let slash = rest.find('/').unwrap_or(rest.len());
        let (host, target) = rest.split_at(slash);
        let headers = self.headers.iter().map(|header| {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| Failure::Message(format!("-H {header:?}: a header is `name: value`")))?;
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        });
        Ok(Question {
            method: self.method.clone(),
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            target: if target.is_empty() {
                "/".to_owned()
            } else {
                target.to_owned()
            },
            headers: headers.collect::<Result<_, Failure>>()?,
        })
    }

    fn offline(&self, question: &Question) -> Result<ExitCode, Failure> {
        let loaded = self.file.load().map_err(Failure::Said)?;
        let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
        let memory = Memory::default();
        let decision = runtime.block_on(async {
            let handle = tokio::runtime::Handle::current();
            let pipeline = Pipeline::start(loaded.rules, Box::new(memory.clone()), &handle)
                .map_err(|problems| Failure::Message(format!("{problems:?}")))?;
            if question.headers.iter().any(|(name, _)| name == "authorization") {
                let _ =
                    tokio::time::timeout(Duration::from_secs(10), pipeline.live().first_key_fetches()).await;
            }
            Ok::<Decision, Failure>(decide_directly(&Arc::new(pipeline), question).await)
        })?;
        let record = memory.last().unwrap_or_default();
        self.print(decision.is_allow(), &record);
        Ok(code(decision.is_allow()))
    }

    fn online(&self, server: &str, question: Question) -> Result<ExitCode, Failure> {
        let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
        let answer: Answer = runtime
            .block_on(ask::over_grpc(server, question))
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
async fn decide_directly(pipeline: &Arc<Pipeline>, question: &Question) -> Decision {
    let refuse = |reason, detail: String| {
        pipeline.refuse(&Malformed {
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
            body: Body::Absent,
        }),
        peer: Peer::default(),
        context_extensions: Pairs::new(),
        metadata: &NoMetadata,
        timeout: None,
    };
    match pipeline.decide_now(&check) {
        Some(decision) => decision,
        None => pipeline.decide(&check).await,
    }
}
