//! How an inspected token is printed. What the token says is escaped, and a token inside the token is left out.

use std::fmt::Write as _;
use std::time::SystemTime;

use decide::identity::{Inspection, Outcome, TokenCheck};
use model::Principal;
use serde_json::{Map, Value, json};

/// Claims that are times (NumericDate).
const TIMES: [&str; 5] = ["exp", "nbf", "iat", "auth_time", "updated_at"];

/// For people: the verdict first, what led to it below.
pub(super) fn text(inspection: &Inspection, now: SystemTime) -> String {
    let mut text = verdict(inspection).1;
    text.push('\n');
    if let Some(principal) = &inspection.principal {
        who(&mut text, principal);
    }
    text.push_str("\nchecks\n");
    for (check, outcome) in &inspection.steps {
        let (name, demand) = check.describe();
        let (mark, detail) = match (outcome, &inspection.refusal) {
            (Outcome::Passed, _) => ("passed", demand.to_owned()),
            (Outcome::NotChecked, _) => ("not checked", demand.to_owned()),
            (Outcome::Failed, refusal) => {
                let reason = refusal.as_ref().map(|refused| refused.reason.to_string());
                ("FAILED", reason.unwrap_or_default())
            }
        };
        let _ = writeln!(text, "  {name:16}{mark:13}{}", printable(&detail));
    }
    let signed = inspection
        .steps
        .contains(&(TokenCheck::Signature, Outcome::Passed));
    let vouched = if signed {
        "claims"
    } else {
        "claims, as the token has them: nobody vouches for them"
    };
    for (title, members) in [("header", &inspection.header), (vouched, &inspection.claims)] {
        let Some(members) = members else { continue };
        let _ = writeln!(text, "\n{title}");
        for (name, value) in members {
            let value = without_tokens(value);
            let _ = write!(
                text,
                "  {:18}  {}",
                printable(name),
                printable(&value.to_string())
            );
            if let Some((date, relative)) = time(name, &value, now) {
                let _ = write!(text, "  ({date}, {relative})");
            }
            text.push('\n');
        }
    }
    text
}

/// The same for scripts.
pub(super) fn json(inspection: &Inspection, now: SystemTime) -> Value {
    let members = |members: &Option<Map<String, Value>>| {
        let shown = |members: &Map<String, Value>| without_tokens(&Value::Object(members.clone()));
        members.as_ref().map(shown)
    };
    let claims = inspection.claims.iter().flatten();
    let times: Map<String, Value> = claims
        .filter_map(|(name, value)| {
            let (date, relative) = time(name, value, now)?;
            Some((name.clone(), json!({ "date": date, "relative": relative })))
        })
        .collect();
    let checks = inspection.steps.iter().map(|(check, outcome)| {
        let outcome = match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NotChecked => "not_checked",
        };
        json!({ "check": check.describe().0, "outcome": outcome })
    });
    json!({
        "verdict": verdict(inspection).0,
        "issuer": issuer(inspection),
        "refusal": inspection.refusal.as_ref().map(|refused| refused.reason.to_string()),
        "principal": inspection.principal.as_ref().map(|principal| json!({
            "type": principal.kind.as_str(),
            "id": principal.id,
            "name": principal.name,
            "client": principal.client,
            "groups": principal.groups,
            "roles": principal.roles.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "scopes": principal.scopes,
            "audiences": principal.audiences,
            "capabilities": capabilities(principal),
            "actors": principal.actors.iter().map(|actor| actor.id.clone()).collect::<Vec<_>>(),
        })),
        "checks": checks.collect::<Vec<_>>(),
        "header": members(&inspection.header),
        "claims": members(&inspection.claims),
        "times": times,
    })
}

/// The short name of the issuer it belongs to, as far as that is known.
fn issuer(inspection: &Inspection) -> Option<&str> {
    let refused = || inspection.refusal.as_ref()?.issuer.as_deref();
    let principal = inspection.principal.as_ref();
    principal
        .map(|principal| principal.issuer.as_str())
        .or_else(refused)
}

/// A word for scripts and a line for people.
fn verdict(inspection: &Inspection) -> (&'static str, String) {
    match (&inspection.refusal, &inspection.principal) {
        (Some(refused), _) => ("refused", format!("refused: {}", printable(&refused.to_string()))),
        (None, Some(principal)) => ("verified", format!("verified by issuer {:?}", principal.issuer)),
        (None, None) => (
            "not_verified",
            "not verified: well-formed, but without --config there are no issuers and no keys to check it with; \
             anybody can write such a token"
                .to_owned(),
        ),
    }
}

/// Operations and the path they are granted at: `storage.read storage.stat: /vo`.
fn capabilities(principal: &Principal) -> Vec<String> {
    let granted = principal.capabilities.iter();
    let line = |(path, operations): (Option<&str>, model::Operations)| {
        let operations = operations.names().collect::<Vec<_>>().join(" ");
        path.map_or_else(|| operations.clone(), |path| format!("{operations}: {path}"))
    };
    granted.map(line).collect()
}

fn who(text: &mut String, principal: &Principal) {
    let roles = principal
        .roles
        .iter()
        .map(|(client, roles)| format!("{client}: {}", roles.join(" ")));
    let actors: Vec<String> = principal.actors.iter().map(ToString::to_string).collect();
    for (label, value) in [
        ("who", principal.to_string()),
        ("type", principal.kind.as_str().to_owned()),
        ("name", principal.name.clone().unwrap_or_default()),
        ("client", principal.client.clone().unwrap_or_default()),
        ("groups", principal.groups.join(", ")),
        ("roles", roles.collect::<Vec<_>>().join(", ")),
        ("scopes", principal.scopes.join(" ")),
        ("audiences", principal.audiences.join(", ")),
        ("grants", capabilities(principal).join(", ")),
        ("actors", actors.join(", ")),
    ] {
        let value = if value.is_empty() { "(none)" } else { &value };
        let _ = writeln!(text, "  {label:10}{}", printable(value));
    }
}

/// A time as date and as seen from `now`; `None` for what is no time.
fn time(name: &str, value: &Value, now: SystemTime) -> Option<(String, String)> {
    if !TIMES.contains(&name) {
        return None;
    }
    let seconds = value.as_f64()?;
    // Fractions do not matter here, and a float becomes the nearest integer there is.
    let date = jiff::Timestamp::from_second(seconds as i64).ok()?;
    let now = jiff::Timestamp::try_from(now).ok()?.as_second();
    let ahead = seconds as i64 - now;
    let span = span(ahead.unsigned_abs());
    let relative = match (name, ahead > 0) {
        ("exp", true) => format!("expires in {span}"),
        ("exp", false) => format!("expired {span} ago"),
        (_, true) => format!("in {span}"),
        (_, false) => format!("{span} ago"),
    };
    Some((date.to_string(), relative))
}

/// In the largest unit of which there are at least two.
fn span(seconds: u64) -> String {
    let units = [("days", 86_400), ("h", 3600), ("min", 60)];
    let (unit, length) = units
        .into_iter()
        .find(|(_, length)| seconds >= 2 * length)
        .unwrap_or(("s", 1));
    format!("{} {unit}", seconds / length)
}

/// Without what could move the cursor or reorder the line.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Some issuers put tokens into tokens; whoever may read the claims may not have those.
fn without_tokens(value: &Value) -> Value {
    match value {
        Value::String(text) if is_token(text) => "(a token, not shown)".into(),
        Value::Array(values) => values.iter().map(without_tokens).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), without_tokens(value)))
            .collect(),
        other => other.clone(),
    }
}

/// A compact JWS or JWE: its header is an object, `{"`, in base64url.
fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && matches!(text.split('.').count(), 3 | 5)
}
