//! The parts of a record as whoever decides copies them to a queue: nothing is worked out that the log's own thread can work
//! out later.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use decide::Record;
use decide::policy::append_uid;
use model::{Check, HttpRequest, Target, Verdict};

use super::parts::Parts;
use super::settings::QueryMask;

/// The longest id of a request that is kept.
const MOST_REQUEST_ID: usize = 128;
/// How long a `traceparent` is; those of versions to come may be longer.
/// <https://www.w3.org/TR/trace-context/#traceparent-header>
const TRACEPARENT: std::ops::RangeInclusive<usize> = 55..=128;

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The log, and a span if there are any.
    Log,
    /// A span only: the log leaves this one out.
    Span,
}

/// Appends the parts of a record to a queue.
pub(super) fn pack(record: &Record<'_, '_>, purpose: Purpose, query: QueryMask, out: &mut Parts) {
    let decision = record.decision;
    out.put_number((purpose == Purpose::Log).into());
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
            match (query, request.query) {
                (QueryMask::Exposed, Some(query)) => {
                    out.put_maybe(record.visible.kept_query(query).as_deref());
                }
                _ => out.put_maybe(None),
            }
            out.put_maybe(request_id(request));
        }
        Some(Target::Tcp(_)) | None => out.put_maybe(None),
    }
    out.put_maybe(record.check.and_then(traceparent));
    match record.client_ip {
        None => out.put_maybe(None),
        Some(ip) => out.put_written(|out| {
            let _ = write!(out, "{ip}");
        }),
    }
    out.put_maybe(record.key_id);
    out.put_maybe(record.token_cache.map(|known| known.as_str()));
    out.put_text(&decision.version().0);
    out.put_number(nanoseconds(record.took));
    let steps = record.steps.as_ref();
    out.put_number(steps.map_or(0, |steps| steps.taken().count() as u64));
    for (step, took) in steps.into_iter().flat_map(|steps| steps.taken()) {
        out.put_text(step.as_str());
        out.put_number(nanoseconds(took));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The id that the request has already, if it is one: printable ASCII without blanks, and not long.
fn request_id<'a>(request: &HttpRequest<'a>) -> Option<&'a str> {
    let id = request.headers.single("x-request-id").ok().flatten()?;
    let is_one = (1..=MOST_REQUEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(id).ok().filter(|_| is_one)
}

/// Where the proxy says that the check belongs, or else where the request does; read later.
fn traceparent<'a>(check: &Check<'a>) -> Option<&'a str> {
    let bytes = check.traceparent.or_else(|| match &check.target {
        Target::Http(request) => request.headers.single("traceparent").ok().flatten(),
        Target::Tcp(_) => None,
    })?;
    let bytes = Some(bytes).filter(|bytes| TRACEPARENT.contains(&bytes.len()))?;
    std::str::from_utf8(bytes).ok()
}
