//! A line of the log: read from the parts of a record, masked, and written by the log's own thread.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::Reason;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::masks::Masks;
use super::parts::Taken;
use crate::traces::Parent;

/// One decision of Portcullis: a line of the decision log. What is not known of a decision is left out. Fields may be added in
/// later versions; none changes its meaning.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Portcullis decision record")]
pub(crate) struct Line<'a> {
    /// When it was decided: RFC 3339, UTC, with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) time: String,
    /// Names the decision: in this line, to the caller and the upstream, and in `portcullis check --explain --decision`.
    #[schemars(extend("format" = "uuid"))]
    pub(crate) decision_id: &'a str,
    /// What was answered.
    #[schemars(extend("enum" = ["allow", "deny"]))]
    pub(crate) verdict: &'a str,
    /// Why, as a class to count by.
    #[schemars(schema_with = "reasons")]
    pub(crate) reason: &'a str,
    /// Why, in a line for operators. It is not for callers.
    pub(crate) why: Cow<'a, str>,
    /// HTTP status of a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// How the proxy asked.
    pub(crate) contract: &'a str,
    /// Who asked, as policies name it. Missing if the credential was refused, or nobody looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<Cow<'a, str>>,
    /// The OAuth client that the token was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    /// Who acts for the principal, the outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actors: Vec<Cow<'a, str>>,
    /// The action, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    /// The resource, as policies name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Cow<'a, str>>,
    /// The other end of a COPY or MOVE.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_end: Option<Cow<'a, str>>,
    /// The route that matched, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<Cow<'a, str>>,
    /// The policies that determined the verdict.
    pub(crate) policies: Vec<Cow<'a, str>>,
    /// What the answer would have been, had it not only been audited (`mode: audit`).
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<AuditLine<'a>>,
    /// Policies that could not be evaluated, whether or not the verdict depends on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorLine<'a>>,
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    /// The host, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    /// The path in its canonical form, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    /// The query with the values that may be told (`query: exposed`).
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Cow<'a, str>>,
    /// The request's `x-request-id`, if it is of at most 128 printable characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    /// The trace that the request belongs to (W3C trace context): that of the proxy's call, or else that of the request; or the
    /// one that begins here. 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
    /// The client's address, or its network (`client_ip: network`).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<Cow<'a, str>>,
    /// The key that verified the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    /// What was known of the token: `hit` (everything), `verified` (that it is good), `miss` (nothing: it was verified now).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["hit", "verified", "miss"]))]
    pub(crate) token_cache: Option<&'a str>,
    /// The version of the rules that decided: a digest over policies, schema, routes and settings.
    pub(crate) version: &'a str,
    /// How long the decision took, in microseconds.
    microseconds: f64,
    /// How many of them each step took, in some of the lines (`measure_steps_every`): `wait`, `gate`, `identity`, `route`,
    /// `policies`, `answer`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<&str, f64>")]
    steps: BTreeMap<&'a str, f64>,
    /// Whether it is to be written, and not only for a span.
    #[serde(skip)]
    pub(super) is_recorded: bool,
    /// When the decision was made.
    #[serde(skip)]
    pub(crate) at: SystemTime,
    #[serde(skip)]
    pub(crate) took: Duration,
    #[serde(skip)]
    pub(crate) timed: Vec<(&'a str, Duration)>,
    /// Where the request belongs.
    #[serde(skip)]
    pub(crate) parent: Option<Parent>,
}

/// What the answer would have been, had it not only been audited.
#[derive(Debug, Serialize, JsonSchema)]
struct AuditLine<'a> {
    /// Always `deny`.
    #[schemars(extend("enum" = ["deny"]))]
    verdict: &'static str,
    /// Why, as a class to count by.
    #[schemars(schema_with = "reasons")]
    reason: &'a str,
    /// HTTP status of the denial.
    status: u16,
    /// The policies that would have determined it.
    policies: Vec<Cow<'a, str>>,
}

/// A policy that could not be evaluated.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorLine<'a> {
    /// The policy.
    policy: Cow<'a, str>,
    /// The file it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    /// The line there.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// What went wrong.
    message: Cow<'a, str>,
}

/// The schema of a line (JSON Schema 2020-12).
pub(crate) fn schema() -> serde_json::Value {
    let mut schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Line<'_>>()
        .to_value();
    // What is left out when there is nothing in it.
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| {
            !["actors", "errors", "steps"]
                .iter()
                .any(|left_out| name == left_out)
        });
    }
    schema
}

fn reasons(_: &mut SchemaGenerator) -> Schema {
    let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    json_schema!({"type": "string", "enum": all})
}

impl<'a> Line<'a> {
    /// Reads a record; `None` if it cannot be read.
    pub(super) fn unpack(mut from: Taken<'a>, clock: &mut Clock) -> Option<Self> {
        let is_recorded = from.number()? == 1;
        let micros = from.number()?;
        let decision_id = from.text()?;
        let (verdict, reason, why) = (from.text()?, from.text()?, from.maybe()?);
        let status = u16::try_from(from.number()?).ok()?;
        let contract = from.text()?;
        let (principal, client, actors) = (from.maybe()?, from.maybe()?, from.texts()?);
        let (action, resource) = (from.maybe()?, from.maybe()?);
        let (other_end, route, policies) = (from.maybe()?, from.maybe()?, from.texts()?);
        let audit = match from.maybe()? {
            None => None,
            Some(reason) => Some(AuditLine {
                verdict: "deny",
                reason,
                status: u16::try_from(from.number()?).ok()?,
                policies: from.texts()?,
            }),
        };
        let errors = from.list(|from| {
            let (policy, file, line) = (from.text()?, from.maybe()?, from.number()?);
            Some(ErrorLine {
                policy: policy.into(),
                file,
                line: file.map(|_| line),
                message: from.text()?.into(),
            })
        })?;
        let method = from.maybe()?;
        let (host, path, query, request_id) = match method {
            None => (None, None, None, None),
            Some(_) => (from.maybe()?, from.maybe()?, from.maybe()?, from.maybe()?),
        };
        let parent = from.maybe()?.and_then(Parent::parse);
        let (client_ip, key_id, token_cache) = (from.maybe()?, from.maybe()?, from.maybe()?);
        let version = from.text()?;
        let took = Duration::from_nanos(from.number()?);
        let timed = from.list(|from| Some((from.text()?, Duration::from_nanos(from.number()?))))?;
        Some(Self {
            time: clock.text(micros),
            decision_id,
            verdict,
            reason,
            why: why.map_or_else(
                || format!("permitted by {}", policies.join(", ")).into(),
                Cow::Borrowed,
            ),
            status: (status != 0).then_some(status),
            contract,
            principal: principal.map(Cow::Borrowed),
            client: client.map(Cow::Borrowed),
            actors,
            action,
            resource: resource.map(Cow::Borrowed),
            other_end: other_end.map(Cow::Borrowed),
            route: route.map(Cow::Borrowed),
            policies,
            audit,
            errors,
            method,
            host: host.map(Cow::Borrowed),
            path: path.map(Cow::Borrowed),
            query: query.map(Cow::Borrowed),
            request_id: request_id.map(Cow::Borrowed),
            trace_id: parent.as_ref().map(|parent| parent.trace_id.to_string()),
            client_ip: client_ip.map(Cow::Borrowed),
            key_id,
            token_cache,
            version,
            microseconds: microseconds(took),
            steps: timed
                .iter()
                .map(|(step, took)| (*step, microseconds(*took)))
                .collect(),
            is_recorded,
            at: UNIX_EPOCH + Duration::from_micros(micros),
            took,
            timed,
            parent,
        })
    }

    /// The trace that it belongs to, as the line says it.
    pub(crate) fn trace(&self) -> Option<opentelemetry::TraceId> {
        opentelemetry::TraceId::from_hex(self.trace_id.as_deref()?).ok()
    }

    /// The same without what the masks hide.
    pub(super) fn masked(mut self, masks: &Masks) -> Self {
        if let Some(address) = &self.client_ip {
            self.client_ip = masks.address(address).map(Cow::Owned);
        }
        let hidden = self
            .principal
            .as_ref()
            .and_then(|principal| masks.hide(principal));
        if let Some(hidden) = hidden {
            // A host is in lower case, whatever the subject is.
            if let Some(host) = &mut self.host {
                *host = hidden.in_host(host).into();
            }
            let words = [
                &mut self.client,
                &mut self.resource,
                &mut self.other_end,
                &mut self.route,
                &mut self.path,
                &mut self.query,
                &mut self.request_id,
            ];
            let errors = self.errors.iter_mut();
            let audited = self.audit.iter_mut().flat_map(|audit| &mut audit.policies);
            [&mut self.why]
                .into_iter()
                .chain(words.into_iter().flatten())
                .chain(&mut self.actors)
                .chain(&mut self.policies)
                .chain(audited)
                .chain(errors.flat_map(|error| [&mut error.policy, &mut error.message]))
                .for_each(|text| *text = hidden.in_text(text).into());
            self.principal = Some(hidden.principal.into());
        }
        self
    }
}

fn microseconds(time: Duration) -> f64 {
    (time.as_nanos() as f64 / 100.0).round() / 10.0
}

/// Writes times; most of one are those of the one before.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: u64,
    text: String,
}

impl Clock {
    /// RFC 3339 with microseconds, UTC.
    fn text(&mut self, micros: u64) -> String {
        let second = micros / 1_000_000;
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text = jiff::Timestamp::from_second(second.cast_signed())
                .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
                .unwrap_or_default();
        }
        let mut text = String::with_capacity(27);
        let _ = write!(text, "{}.{:06}Z", self.text, micros % 1_000_000);
        text
    }
}
