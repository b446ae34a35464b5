//! A record as a line of the log: packed by whoever decides, unpacked and written by the log's own thread.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use decide::Record;
use decide::policy::append_uid;
use model::{Target, Verdict};
use serde::Serialize;

use super::parts::{Parts, Taken};

/// One line of the log.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    time: String,
    decision_id: &'a str,
    verdict: &'a str,
    reason: &'a str,
    why: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    contract: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actors: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_end: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    policies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<AuditLine<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorLine<'a>>,
    #[serde(flatten)]
    request: Option<RequestLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    version: &'a str,
    microseconds: f64,
}

/// What the answer would have been, had it not only been audited.
#[derive(Debug, Serialize)]
struct AuditLine<'a> {
    verdict: &'static str,
    reason: &'a str,
    status: u16,
    policies: Vec<&'a str>,
}

/// A policy that could not be evaluated.
#[derive(Debug, Serialize)]
struct ErrorLine<'a> {
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    message: &'a str,
}

/// What was asked for. The query is left out: it may carry secrets.
#[derive(Debug, Serialize)]
struct RequestLine<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// Appends the parts of a record to a queue.
pub(super) fn pack(record: &Record<'_, '_>, out: &mut Vec<u8>) {
    let decision = record.decision;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    out.put_number(u64::try_from(since.as_micros()).unwrap_or_default());
    let mut id = [0; 36];
    out.put_text(decision.id().encode(&mut id));
    out.put_text(if decision.is_allow() { "allow" } else { "deny" });
    out.put_text(decision.reason().as_str());
    match decision.verdict() {
        // The policies say it.
        Verdict::Allow(_) if decision.audited().is_none() => out.put_maybe(None),
        _ => out.put_text(&record.why()),
    }
    out.put_number(match decision.verdict() {
        Verdict::Allow(_) => 0,
        Verdict::Deny(denial) => denial.status.into(),
    });
    out.put_text(record.contract.as_str());
    match record.principal {
        None => out.put_maybe(None),
        Some(principal) => out.put_written(|out| {
            let _ = write!(out, "{principal}");
        }),
    }
    out.put_maybe(record.principal.and_then(|principal| principal.client.as_deref()));
    let actors = record.principal.map_or(&[][..], |principal| &principal.actors);
    out.put_number(actors.len() as u64);
    for actor in actors {
        out.put_written(|out| {
            let _ = write!(out, "{actor}");
        });
    }
    out.put_maybe(record.action);
    match record.resource {
        None => out.put_maybe(None),
        Some(resource) => out.put_written(|out| append_uid(resource, out)),
    }
    out.put_maybe(record.other_end);
    out.put_maybe(record.route);
    out.put_texts(decision.policies());
    match decision.audited() {
        None => out.put_maybe(None),
        Some(audited) => {
            out.put_text(audited.denial.reason.as_str());
            out.put_number(audited.denial.status.into());
            out.put_texts(&audited.policies);
        }
    }
    out.put_number(record.errors.len() as u64);
    for error in record.errors {
        out.put_text(&error.policy);
        out.put_maybe(error.place.as_ref().map(|(file, _)| &**file));
        out.put_number(error.place.as_ref().map_or(0, |(_, line)| *line as u64));
        out.put_text(&error.message);
    }
    match record.check.map(|check| &check.target) {
        Some(Target::Http(request)) => {
            out.put_text(request.method);
            out.put_text(request.host.as_str());
            out.put_text(request.path.as_str());
            let id = request.headers.single("x-request-id").ok().flatten();
            let id = id.and_then(|id| std::str::from_utf8(id).ok());
            out.put_maybe(id.filter(|id| id.len() <= 128));
        }
        Some(Target::Tcp(_)) | None => out.put_maybe(None),
    }
    match record.client_ip {
        None => out.put_maybe(None),
        Some(ip) => out.put_written(|out| {
            let _ = write!(out, "{ip}");
        }),
    }
    out.put_maybe(record.key_id);
    out.put_text(&decision.version().0);
    out.put_number(u64::try_from(record.took.as_nanos()).unwrap_or(u64::MAX));
}

impl<'a> Line<'a> {
    /// Reads a record; `None` if it cannot be read.
    pub(super) fn unpack(mut record: &'a [u8], clock: &mut Clock) -> Option<Self> {
        let mut from = Taken(&mut record);
        let time = clock.text(from.number()?);
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
                policy,
                file,
                line: file.map(|_| line),
                message: from.text()?,
            })
        })?;
        let request = match from.maybe()? {
            None => None,
            Some(method) => Some(RequestLine {
                method,
                host: from.text()?,
                path: from.text()?,
                request_id: from.maybe()?,
            }),
        };
        Some(Self {
            time,
            decision_id,
            verdict,
            reason,
            why: why.map_or_else(
                || format!("permitted by {}", policies.join(", ")).into(),
                Cow::Borrowed,
            ),
            status: (status != 0).then_some(status),
            contract,
            principal,
            client,
            actors,
            action,
            resource,
            other_end,
            route,
            policies,
            audit,
            errors,
            request,
            client_ip: from.maybe()?,
            key_id: from.maybe()?,
            version: from.text()?,
            microseconds: (from.number()? as f64 / 100.0).round() / 10.0,
        })
    }
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
