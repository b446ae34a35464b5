//! How denials look to the caller where no route and no policy says it: texts by class of reason, and the shape of the body.
//!
//! Nothing of why policies said no is in reach here: the values are the line that the caller gets anyway, its own request,
//! and the name of the decision.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use model::{Check, Decision, DecisionId, Denial, ErrorBody, Reason, Target, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::policy::shortened;
use crate::problem::{Problem, did_you_mean};
use crate::routes::Template;
use crate::status::is_denial_status;

/// What the strings of a body may contain, in braces.
const NAMES: [&str; 7] = ["text", "status", "class", "name", "method", "path", "decision_id"];
/// Longest text of the configuration, and longest value that comes from the request.
const MAX_TEXT_BYTES: usize = 1024;
/// Most strings of a body with something to fill in, and most braces in one of them: the body stays small.
const MAX_PLACES: usize = 16;
/// Largest body as configured.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// How denials look to the caller.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenialSettings {
    /// The line for the caller by class of the reason, where no route and no policy says one. Example:
    /// `credential_missing: Missing credentials`
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
    /// The body of denials as JSON, instead of the line alone. Its strings may contain `{text}` (that line), `{status}`,
    /// `{class}` (of the reason), `{name}` (see `names`), `{method}`, `{path}` and `{decision_id}`; a string that is only
    /// `{status}` becomes a number. gRPC clients get the line. Example: `{ error: { message: "{text}" } }`
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub body: Option<Value>,
    /// The `content-type` of `body`. Default: `application/json`. Example: `application/problem+json`
    #[serde(default)]
    pub content_type: Option<String>,
    /// What `{name}` stands for, by status; for others it is the class of the reason. Example: `"403": NotAllowedError`
    #[serde(default)]
    pub names: BTreeMap<String, String>,
}

/// The same, compiled.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    texts: HashMap<Reason, String>,
    body: Option<Node>,
    content_type: String,
    names: HashMap<u16, String>,
}

/// A part of the body.
#[derive(Debug)]
enum Node {
    /// The number of the status.
    Status,
    Text(Template),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// As it is.
    Value(Value),
}

/// What is filled in.
struct Values<'v> {
    text: &'v str,
    status: u16,
    class: &'v str,
    name: &'v str,
    method: &'v str,
    path: &'v str,
    decision_id: &'v str,
}

impl Denials {
    /// Compiles the settings.
    pub(crate) fn new(settings: &DenialSettings, problems: &mut Vec<Problem>) -> Self {
        let mut problem = |pointer: String, message: String, help: String| {
            problems.push(Problem::setting(format!("/denials{pointer}"), message, help));
        };
        let classes = Reason::ALL
            .iter()
            .filter(|reason| !matches!(reason, Reason::Permitted | Reason::Audited));
        let classes: Vec<&str> = classes.map(|reason| reason.as_str()).collect();
        let mut texts = HashMap::new();
        for (class, text) in &settings.texts {
            let known = Reason::ALL.into_iter().find(|reason| reason.as_str() == class);
            match known.filter(|reason| classes.contains(&reason.as_str())) {
                Some(reason) => {
                    check_line(text, format!("/texts/{class}"), &mut problem);
                    texts.insert(reason, text.clone());
                }
                None => {
                    let help = match did_you_mean(class, classes.iter().copied()) {
                        help if help.is_empty() => format!("there are {}", classes.join(", ")),
                        help => help,
                    };
                    let message = format!("no denial has a reason of the class `{class}`");
                    problem(format!("/texts/{}", escaped(class)), message, help);
                }
            }
        }
        let mut names = HashMap::new();
        for (status, name) in &settings.names {
            match status.parse().ok().filter(|status| is_denial_status(*status)) {
                Some(known) => {
                    check_line(name, format!("/names/{status}"), &mut problem);
                    names.insert(known, name.clone());
                }
                None => problem(
                    format!("/names/{}", escaped(status)),
                    format!("`{status}` is no status that a denial can have"),
                    "use a 4xx that proxies know, such as 403 or 404".to_owned(),
                ),
            }
        }
        let content_type = settings.content_type.as_deref().unwrap_or("application/json");
        if !is_media_type(content_type) {
            let message = format!("`{content_type}` is no media type");
            problem(
                "/content_type".to_owned(),
                message,
                "for example `application/problem+json`".to_owned(),
            );
        }
        if settings.body.is_none() && (settings.content_type.is_some() || !settings.names.is_empty()) {
            let message = "without a `body`, nothing has a use for `names` and `content_type`".to_owned();
            problem(
                String::new(),
                message,
                "add a `body`, or leave them out".to_owned(),
            );
        }
        let body = settings.body.as_ref().map(|body| {
            let mut places = 0;
            let node = Node::new(body, "/body", &mut places, &mut problem);
            if places > MAX_PLACES || body.to_string().len() > MAX_BODY_BYTES {
                let message = format!(
                    "the body is too large: at most {MAX_BODY_BYTES} bytes, and {MAX_PLACES} texts to fill in"
                );
                problem("/body".to_owned(), message, String::new());
            }
            node
        });
        Self {
            texts,
            body,
            content_type: content_type.to_owned(),
            names,
        }
    }

    /// The line for the caller: that of the configuration, if no route and no policy says one. Theirs are owned, our own
    /// are borrowed.
    pub(crate) fn say(&self, denial: &mut Denial) {
        if let (Cow::Borrowed(_), Some(text)) = (&denial.caller, self.texts.get(&denial.reason)) {
            denial.caller = Cow::Owned(text.clone());
        }
    }

    /// The same decision with the body that the configuration wants; `check` is absent if it could not be read.
    pub(crate) fn dress(&self, decision: Decision, check: Option<&Check<'_>>) -> Decision {
        let Verdict::Deny(denial) = decision.verdict() else {
            return decision;
        };
        match &self.body {
            Some(body) if !check.is_some_and(speaks_grpc) => {
                let text = self.text(body, denial, decision.id(), check);
                let content_type = self.content_type.clone();
                decision.with_body(ErrorBody { content_type, text })
            }
            _ => decision,
        }
    }

    fn text(&self, body: &Node, denial: &Denial, id: DecisionId, check: Option<&Check<'_>>) -> String {
        let mut buffer = [0; 36];
        let (method, path) = match check.map(|check| &check.target) {
            Some(Target::Http(request)) => (request.method, request.path.as_str()),
            Some(Target::Tcp(_)) | None => ("", ""),
        };
        let [method, path] = [method, path].map(|sent| {
            let mut sent = sent.to_owned();
            shortened(&mut sent, MAX_TEXT_BYTES);
            sent
        });
        let class = denial.reason.as_str();
        let values = Values {
            text: &denial.caller,
            status: denial.status,
            class,
            name: self.names.get(&denial.status).map_or(class, String::as_str),
            method: &method,
            path: &path,
            decision_id: id.encode(&mut buffer),
        };
        body.fill(&values).to_string()
    }
}

impl Node {
    fn new(
        value: &Value,
        pointer: &str,
        places: &mut usize,
        problem: &mut impl FnMut(String, String, String),
    ) -> Self {
        match value {
            Value::String(text) if text == "{status}" => Self::Status,
            Value::String(text) if text.contains(['{', '}']) => match Template::parse(text, &NAMES) {
                Ok(template) => {
                    *places += text.matches('{').count();
                    Self::Text(template)
                }
                Err(message) => {
                    let help =
                        "for example `{text}`, the line that the caller would get otherwise".to_owned();
                    problem(pointer.to_owned(), message, help);
                    Self::Value(Value::Null)
                }
            },
            Value::Array(values) => {
                let values = values.iter().enumerate();
                let nodes =
                    values.map(|(i, value)| Self::new(value, &format!("{pointer}/{i}"), places, problem));
                Self::List(nodes.collect())
            }
            Value::Object(members) => {
                let nodes = members.iter().map(|(name, value)| {
                    let pointer = format!("{pointer}/{}", escaped(name));
                    (name.clone(), Self::new(value, &pointer, places, problem))
                });
                Self::Map(nodes.collect())
            }
            other => Self::Value(other.clone()),
        }
    }

    fn fill(&self, values: &Values<'_>) -> Value {
        match self {
            Self::Status => values.status.into(),
            Self::Text(template) => {
                let status = values.status.to_string();
                let value = |name: &str| match name {
                    "text" => values.text,
                    "status" => &status,
                    "class" => values.class,
                    "name" => values.name,
                    "method" => values.method,
                    "path" => values.path,
                    _ => values.decision_id,
                };
                template.fill(value).into_owned().into()
            }
            Self::List(nodes) => nodes.iter().map(|node| node.fill(values)).collect(),
            Self::Map(nodes) => {
                let members = nodes.iter().map(|(name, node)| (name.clone(), node.fill(values)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Self::Value(value) => value.clone(),
        }
    }
}

/// A gRPC client reads the body as its message, so it gets one line.
fn speaks_grpc(check: &Check<'_>) -> bool {
    let Target::Http(request) = &check.target else {
        return false;
    };
    let mut types = request.headers.all("content-type");
    types.any(|value| {
        value
            .get(..16)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
    })
}

fn check_line(text: &str, pointer: String, problem: &mut impl FnMut(String, String, String)) {
    if text.is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
        let message = format!("this must be one line of at most {MAX_TEXT_BYTES} bytes");
        problem(pointer, message, String::new());
    }
}

/// A type and a subtype (RFC 9110 section 8.3.1), perhaps with parameters.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        !part.is_empty() && part.bytes().all(fits)
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let visible = parameters.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let named = |(kind, subtype): (&str, &str)| token(kind) && token(subtype);
    text.len() <= 128 && text.trim() == text && visible && essence.split_once('/').is_some_and(named)
}

/// A name as a JSON pointer has it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
