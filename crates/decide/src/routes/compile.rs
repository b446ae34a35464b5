//! Routes of the configuration -> the route table, with every problem found on the way.

use std::fmt::Write as _;
use std::sync::Arc;

use model::RouteEdits;

use super::hosts::{HostPattern, MOST};
use super::table::Conflict;
use super::{
    Action, DenyAnswer, DestinationRule, DestinationSettings, OnAllow, OnDeny, Pattern, Route, RouteSettings,
    RouteTable, Segment, Template, WITH_DESTINATION, resource,
};
use crate::policy;
use crate::problem::Problem;
use crate::settings::Expose;
use crate::status::is_denial_status;

/// Compiles all routes.
pub(crate) fn compile(routes: &[RouteSettings], expose: &Expose, problems: &mut Vec<Problem>) -> RouteTable {
    let mut table = RouteTable::default();
    let expose = Arc::new(expose.clone());
    for (index, route) in routes.iter().enumerate() {
        let before = problems.len();
        let mut problem = |part: &str, message: String, help: &str| {
            problems.push(Problem::setting(format!("/routes/{index}{part}"), message, help));
        };
        let pattern = match Pattern::parse(&route.path) {
            Ok(pattern) => pattern,
            Err(message) => {
                problem("/path", message, "for example `/workspaces/{workspace}/{rest..}`");
                continue;
            }
        };
        if route.methods.is_empty() {
            problem(
                "/methods",
                "a route without methods matches nothing".to_owned(),
                "name the methods",
            );
        }
        let hosts = compile_hosts(&route.hosts, &pattern, &mut problem);
        let names: Vec<&str> = captured(&hosts, &pattern).collect();
        check_on_deny(&route.on_deny, &mut problem);
        let login = compile_login(&route.on_deny, &mut problem);
        let on_allow = compile_on_allow(&route.on_allow, &mut problem);
        let Some(resource) = resource::compile(route, &names, &mut problem) else {
            continue;
        };
        let capability_path = compile_capability_path(route, &names, &mut problem);
        let magpie = compile_magpie(route, &pattern, &names, &mut problem);
        let destination = compile_destination(route, &hosts, &mut problem);
        let actions = route.methods.iter().filter_map(|method| {
            let action = action(route.action.as_ref().unwrap_or(method)).ok()?;
            Some((method.as_str().into(), action))
        });
        let compiled = Route {
            name: format!("{}{}", route.hosts.join(","), route.path).into(),
            captures: names.into_iter().map(Into::into).collect(),
            actions: actions.collect(),
            resource,
            public: route.public,
            expose: match &route.expose {
                Some(own) => Arc::new(own.over(&expose)),
                None => Arc::clone(&expose),
            },
            capability_path,
            magpie,
            destination,
            mode: route.mode,
            on_deny: DenyAnswer {
                status: route.on_deny.status,
                reason: route.on_deny.reason.as_deref().map(Arc::from),
                headers: pairs(&route.on_deny.headers).into(),
            },
            login,
            on_allow: Arc::new(on_allow),
        };
        if problems.len() == before
            && let Err(conflict) = table.insert(&pattern, &hosts, compiled)
        {
            problems.push(in_conflict(index, &conflict, &table));
        }
    }
    table
}

/// The names that a match captures: of the host, then of the path.
fn captured<'a>(hosts: &'a [HostPattern], pattern: &'a Pattern) -> impl Iterator<Item = &'a str> {
    let host = hosts.first().into_iter().flat_map(HostPattern::names);
    host.chain(pattern.names())
}

fn compile_hosts(
    hosts: &[String],
    pattern: &Pattern,
    problem: &mut impl FnMut(&str, String, &str),
) -> Vec<HostPattern> {
    let mut compiled: Vec<HostPattern> = Vec::new();
    for (i, text) in hosts.iter().enumerate() {
        let part = format!("/hosts/{i}");
        let host = match HostPattern::parse(text) {
            Ok(host) => host,
            Err(message) => {
                problem(&part, message, "");
                continue;
            }
        };
        if let Some(name) = host.names().find(|name| pattern.names().any(|n| n == *name)) {
            let message = format!("the path captures `{{{name}}}`, too");
            problem(&part, message, "give one of the two another name");
        }
        if let Some(first) = compiled.first()
            && !first.names().eq(host.names())
        {
            let names: Vec<String> = first.names().map(|name| format!("`{{{name}}}`")).collect();
            let message = match names.as_slice() {
                [] => "the first host of this route captures nothing, this one does".to_owned(),
                names => format!("the first host of this route captures {}", names.join(", ")),
            };
            let help = "all hosts of a route capture the same names in the same order; make two routes of it";
            problem(&part, message, help);
        }
        compiled.push(host);
    }
    compiled
}

fn in_conflict(index: usize, conflict: &Conflict, table: &RouteTable) -> Problem {
    let name = |other: usize| table.routes().get(other).map_or("?", |route| &route.name);
    let (part, message, help) = match conflict {
        Conflict::Same(other, method) => (
            "path",
            format!(
                "another route matches the same requests: {method} {}",
                name(*other)
            ),
            "give each method of a path one route",
        ),
        Conflict::Ambiguous(other) => (
            "path",
            format!(
                "neither this route nor {} is more specific, and both can match the same text",
                name(*other)
            ),
            "of two patterns, the one with more literal text is asked first: write more of one of them, or make one route of both",
        ),
        Conflict::Hosts => (
            "hosts",
            "two hosts of this route can match the same host and capture different texts".to_owned(),
            "of two patterns, the one with more literal text is asked first: write more of one of them",
        ),
        Conflict::Crowded => (
            "path",
            format!("this is more than {MOST} patterns with captures in one place"),
            "let a capture stand for what they differ in",
        ),
    };
    Problem::setting(format!("/routes/{index}/{part}"), message, help)
}

/// A COPY or MOVE whose destination nobody asks about would be a way around every other route.
fn compile_destination(
    route: &RouteSettings,
    hosts: &[HostPattern],
    problem: &mut impl FnMut(&str, String, &str),
) -> Option<DestinationRule> {
    let two_paths = route
        .methods
        .iter()
        .find(|method| WITH_DESTINATION.contains(&method.as_str()));
    match (two_paths, route.destination) {
        (Some(method), None) => problem(
            "/methods",
            format!(
                "{method} writes to the path in its `Destination` header, and this route does not say where that may be"
            ),
            "add `destination: local`, or `third_party` if it may be on another host, or `ignore` if the upstream does not look \
             at the header",
        ),
        (None, Some(_)) => problem(
            "/destination",
            "this route has neither COPY nor MOVE, and no other method has a destination".to_owned(),
            "remove the line",
        ),
        (Some(_), Some(DestinationSettings::ThirdParty)) if route.hosts.is_empty() => problem(
            "/destination",
            "a route for any host cannot tell other servers from its own".to_owned(),
            "list every name of the server in `hosts`: a destination on one of them is judged, on others it is not",
        ),
        _ => {}
    }
    let actions = route.destination_actions();
    let actions: Vec<_> = actions
        .filter_map(|(method, name)| Some((method.into(), action(&name).ok()?)))
        .collect();
    (!actions.is_empty()).then(|| DestinationRule {
        third_party: route.destination == Some(DestinationSettings::ThirdParty),
        hosts: hosts.to_vec(),
        actions,
    })
}

fn compile_capability_path(
    route: &RouteSettings,
    names: &[&str],
    problem: &mut impl FnMut(&str, String, &str),
) -> Option<Template> {
    let text = route.capability_path.as_ref()?;
    let names: Vec<&str> = names.iter().copied().chain(["path"]).collect();
    let help = "a path that may contain `{name}` of the path and host patterns, or `{path}`";
    match Template::parse(text, &names) {
        Ok(template) if text.starts_with('/') || text == "{path}" => return Some(template),
        Ok(_) => problem(
            "/capability_path",
            format!("`{text}` does not begin with a slash"),
            help,
        ),
        Err(message) => problem("/capability_path", message, help),
    }
    None
}

fn compile_magpie(
    route: &RouteSettings,
    pattern: &Pattern,
    names: &[&str],
    problem: &mut impl FnMut(&str, String, &str),
) -> Option<(Template, Template)> {
    let asked = route.magpie.as_ref()?;
    let rest = match pattern.segments.last() {
        Some(Segment::Rest(name)) => format!("{{{name}}}"),
        _ => String::new(),
    };
    let mut template = |part: &str, text: &str| {
        let read = Template::parse(text, names);
        read.map_err(|message| {
            problem(
                part,
                message,
                "`{name}` stands for what the path or host captures",
            )
        })
        .ok()
    };
    let service = template("/magpie/service", &asked.service);
    let below = template("/magpie/below", asked.below.as_ref().unwrap_or(&rest));
    service.zip(below)
}

fn check_on_deny(on_deny: &OnDeny, problem: &mut impl FnMut(&str, String, &str)) {
    if let Some(status) = on_deny.status
        && !is_denial_status(status)
    {
        let help = "use a 4xx that proxies know, such as 403 or 404; Envoy rejects an answer with any other";
        problem(
            "/on_deny/status",
            format!("{status} is no status that a denial can have"),
            help,
        );
    }
    if on_deny
        .reason
        .as_ref()
        .is_some_and(|reason| reason.chars().any(char::is_control))
    {
        problem("/on_deny/reason", "the reason must be one line".to_owned(), "");
    }
    check_headers("/on_deny/headers", &on_deny.headers, problem);
}

fn compile_login(on_deny: &OnDeny, problem: &mut impl FnMut(&str, String, &str)) -> Option<Template> {
    let text = on_deny.login.as_ref()?;
    let help = "for example `https://id.example.org/login?rd={url}`";
    let absolute = text.starts_with("https://") || text.starts_with("http://");
    if !absolute || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = "the address of the login is no absolute URL: some proxies resolve others against ours";
        problem("/on_deny/login", message.to_owned(), help);
        return None;
    }
    Template::parse(text, &["url"])
        .map_err(|message| problem("/on_deny/login", message, help))
        .ok()
}

fn compile_on_allow(on_allow: &OnAllow, problem: &mut impl FnMut(&str, String, &str)) -> RouteEdits {
    check_headers("/on_allow/response_headers", &on_allow.response_headers, problem);
    for (index, name) in on_allow.remove_query.iter().enumerate() {
        if on_allow.set_query.contains_key(name) {
            let message =
                format!("`{name}` is also in `set_query`, and what is both set and removed is removed");
            problem(
                &format!("/on_allow/remove_query/{index}"),
                message,
                "keep one of the two",
            );
        }
    }
    let set_query = on_allow.set_query.iter();
    let set_query = set_query.map(|(name, value)| (percent_encode(name), percent_encode(value)));
    let remove_query = on_allow.remove_query.iter().map(|name| name.as_str().into());
    RouteEdits::new(
        pairs(&on_allow.response_headers),
        set_query.collect(),
        remove_query.collect(),
    )
}

/// Headers that say how an answer is sent, or what a proxy does with it.
const TAKEN: [&str; 6] = [
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "upgrade",
    "x-envoy-auth-headers-to-remove",
];

fn check_headers(part: &str, headers: &[(String, String)], problem: &mut impl FnMut(&str, String, &str)) {
    for (index, (name, value)) in headers.iter().enumerate() {
        let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || !name.bytes().all(token) || TAKEN.contains(&name.as_str()) {
            let help = "use lower-case letters, digits and `-`";
            problem(
                &format!("{part}/{index}"),
                format!("`{name}` is no header to send"),
                help,
            );
        }
        if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) || value.trim() != value {
            let message = "a header value is visible ASCII without blanks at its ends".to_owned();
            problem(&format!("{part}/{index}"), message, "");
        }
    }
}

fn pairs(headers: &[(String, String)]) -> Vec<(Box<str>, Box<str>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
        .collect()
}

/// Unreserved characters stay (RFC 3986 section 2.3).
pub(crate) fn percent_encode(text: &str) -> Box<str> {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded.into()
}

/// `Action::"<name>"`.
pub(crate) fn action(name: &str) -> Result<Action, String> {
    Ok(Action {
        name: name.into(),
        uid: policy::uid("Action", name)?,
    })
}
