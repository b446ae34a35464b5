//! An explanation as a tree for people.

use std::fmt::Write as _;

use decide::explain::{
    Condition, Credential, Explanation, Magpie, MagpieNeed, Part, Policy, Principal, Question, Request, Route,
};
use serde_json::Value;

use super::tree::{Colours, Mark, Node, Style, draw, printable, styled};

/// The answer first, then what would have changed it, then the walk.
pub(super) fn text(of: &Explanation, colours: Colours) -> String {
    let mut text = head(of, colours);
    for hint in &of.hints {
        let (wish, because) = hint.split_once("  — ").unwrap_or((hint, ""));
        let _ = writeln!(
            text,
            "\n  {}",
            styled(&printable(wish), Some(Style::Yellow), colours)
        );
        if !because.is_empty() {
            let _ = writeln!(text, "    — {}", printable(because));
        }
    }
    text.push('\n');
    let mut walk = Vec::new();
    walk.extend(of.recorded.is_some().then(|| recorded(of)));
    walk.extend(of.request.as_ref().map(request));
    let read = of.steps.first().is_none_or(|step| step.step != "request");
    if read {
        walk.push(credential(&of.credential));
    }
    walk.extend(of.principal.as_ref().map(principal));
    if of.route != Route::default() {
        walk.push(route(&of.route));
    }
    walk.extend(of.magpie.as_ref().map(magpie));
    walk.extend(of.questions.iter().map(question));
    walk.push(reply(of));
    walk.push(time(of));
    text.push_str(&draw(&walk, colours));
    text
}

fn head(of: &Explanation, colours: Colours) -> String {
    let (verdict, style) = match (of.verdict.as_str(), of.status) {
        ("allow", _) => ("allow".to_owned(), Style::Green),
        (verdict, Some(status)) => (format!("{verdict} {status}"), Style::Red),
        (verdict, None) => (verdict.to_owned(), Style::Red),
    };
    format!(
        "{}\n  {}  ({})\n",
        styled(&verdict, Some(style), colours),
        printable(&of.why),
        printable(&of.reason)
    )
}

fn recorded(of: &Explanation) -> Node {
    let Some(recorded) = &of.recorded else {
        return Node::default();
    };
    let status = recorded
        .status
        .map(|status| format!(" {status}"))
        .unwrap_or_default();
    let mut node = Node::labelled(
        "recorded",
        format!("{}{status} at {}", recorded.verdict, recorded.time),
    );
    node.tell("why", recorded.why.clone());
    node.tell("by", recorded.policies.join(", "));
    let rules = match recorded.same_rules {
        true => format!(
            "{}, still in force: what follows is how it was decided",
            recorded.version
        ),
        false => format!(
            "{}; in force now are others, {}: what follows is how it would be decided now",
            recorded.version, of.version
        ),
    };
    node.tell("rules", rules);
    for missing in &recorded.missing {
        node.push(Node::labelled("not kept", missing.clone()).marked(Mark::Error));
    }
    node
}

fn request(request: &Request) -> Node {
    let mut node = match request.port {
        Some(port) => Node::labelled("request", format!("a TCP connection to port {port}")),
        None if request.method.is_empty() && request.path.is_empty() => {
            Node::labelled("request", "a TCP connection")
        }
        None => {
            let sent = |sent: &Option<String>, read: &str| match read {
                "" => sent.clone().unwrap_or_default(),
                read => read.to_owned(),
            };
            let host = sent(&request.host_sent, &request.host);
            let path = sent(&request.path_sent, &request.path);
            Node::labelled(
                "request",
                format!("{} {}://{host}{path}", request.method, request.scheme),
            )
        }
    };
    let changed = |sent: &Option<String>, read: &str| match sent {
        Some(sent) if !read.is_empty() && sent != read => format!("{sent}  →  {read}"),
        _ => String::new(),
    };
    node.tell("host", changed(&request.host_sent, &request.host));
    node.tell("path", changed(&request.path_sent, &request.path));
    if let Some(compared) = &request.compared_as {
        node.tell("compared as", compared.clone());
    }
    let query = request.query.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => format!("{name}=(not for policies)"),
    });
    node.tell("query", query.collect::<Vec<_>>().join(", "));
    for (name, value) in &request.headers {
        node.tell("header", format!("{name}: {value}"));
    }
    if let Some(bytes) = request.body_bytes {
        node.tell("body", format!("{bytes} bytes"));
    }
    node.tell("client ip", request.client_ip.clone().unwrap_or_default());
    node.tell("peer", request.peer.clone().unwrap_or_default());
    match request.gate.as_str() {
        "" => {}
        "passed" => node.push(Node::labelled("gate", "passed").marked(Mark::Yes)),
        why => node.push(Node::labelled("gate", why).marked(Mark::No)),
    }
    node
}

fn credential(credential: &Credential) -> Node {
    let by = match (&credential.verifier, &credential.refusal) {
        (Some(verifier), None) => format!(", verified by issuer {verifier:?}"),
        (Some(verifier), Some(_)) => format!(", refused by issuer {verifier:?}"),
        (None, Some(_)) => ", refused".to_owned(),
        (None, None) => String::new(),
    };
    let mut node = Node::labelled("credential", format!("{}{by}", credential.found));
    let names = |outcome: &str| {
        let those = credential.checks.iter().filter(|check| check.outcome == outcome);
        those
            .map(|check| check.check.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let passed = names("passed");
    if !passed.is_empty() {
        node.push(Node::line(passed).marked(Mark::Yes));
    }
    let failed = credential.checks.iter().find(|check| check.outcome == "failed");
    match (failed, &credential.refusal) {
        (Some(failed), refusal) => {
            let why = refusal.clone().unwrap_or_else(|| failed.demands.clone());
            node.push(Node::line(format!("{}: {why}", failed.check)).marked(Mark::No));
        }
        (None, Some(refusal)) => node.push(Node::line(refusal.clone()).marked(Mark::No)),
        (None, None) => {}
    }
    let rest = names("not_checked");
    if !rest.is_empty() {
        node.push(Node::line(rest).marked(Mark::Skipped).noted("not checked"));
    }
    node
}

fn principal(principal: &Principal) -> Node {
    let mut node = Node::labelled(
        "principal",
        match principal.kind.as_str() {
            "Anonymous" => "Anonymous: nobody says who this is".to_owned(),
            kind => format!("{kind}::\"{}\"", principal.id),
        },
    );
    node.tell("name", principal.name.clone().unwrap_or_default());
    node.tell("client", principal.client.clone().unwrap_or_default());
    node.tell("groups", principal.groups.join(", "));
    let roles = principal
        .roles
        .iter()
        .map(|(client, roles)| format!("{client}: {}", roles.join(" ")));
    node.tell("roles", roles.collect::<Vec<_>>().join(", "));
    node.tell("scopes", principal.scopes.join(" "));
    node.tell("audiences", principal.audiences.join(", "));
    node.tell("grants", principal.capabilities.join(", "));
    node.tell("actors", principal.actors.join(", "));
    node
}

fn route(route: &Route) -> Node {
    let matched = match (&route.matched, route.near.is_empty()) {
        (Some(matched), true) => matched.clone(),
        (Some(matched), false) => format!("{matched} has the path, but not the method"),
        (None, _) if route.resource.is_some() => "none is needed for a TCP connection".to_owned(),
        (None, _) => "none matches".to_owned(),
    };
    let mut node = Node::labelled("route", matched);
    for near in &route.near {
        node.push(
            Node::line(near.route.clone())
                .marked(Mark::No)
                .noted(near.why.clone()),
        );
    }
    for (name, value) in route.captures.iter().filter(|_| route.near.is_empty()) {
        node.tell("captured", format!("{{{name}}} is {value:?}"));
    }
    let groups = match route.action_groups.as_slice() {
        [] => String::new(),
        groups => format!(" in {}", groups.join(", ")),
    };
    let action = route.action.as_ref().map(|action| format!("{action}{groups}"));
    node.tell("action", action.unwrap_or_default());
    node.tell("resource", route.resource.clone().unwrap_or_default());
    node
}

/// What Magpie's permissions say: each need with everything that has a say, from the resource up.
fn magpie(magpie: &Magpie) -> Node {
    let verdict = if magpie.allowed { "allowed" } else { "denied" };
    let of = format!("{} ({})", magpie.service, magpie.service_type);
    let mut node = Node::labelled("magpie", format!("{of}: {verdict}, {}", magpie.reason));
    let user = magpie.user.as_deref().unwrap_or("nobody that Magpie knows");
    node.tell("asked for", format!("{user}, in {}", magpie.groups.join(", ")));
    node.tell("unknown", magpie.unknown.clone().unwrap_or_default());
    for need in &magpie.needs {
        node.push(magpie_need(need));
    }
    node
}

fn magpie_need(need: &MagpieNeed) -> Node {
    let missing = if need.exact {
        ""
    } else {
        ", which Magpie does not know"
    };
    let mut node = Node::line(format!("{} on {}{missing}", need.permission, need.resource));
    node = node
        .marked(if need.allowed { Mark::Yes } else { Mark::No })
        .noted(need.reason.clone());
    for seen in &need.chain {
        let line = Node::line(format!(
            "{} {} on {}",
            seen.subject, seen.permission, seen.resource
        ));
        node.push(match (seen.decides, seen.reaches) {
            (true, _) => line
                .marked(if need.allowed { Mark::Yes } else { Mark::No })
                .noted("decides"),
            (false, true) => line.marked(Mark::Skipped).noted("weaker than what decides"),
            (false, false) => line.marked(Mark::Skipped).noted("for that resource only"),
        });
    }
    node
}

fn question(question: &Question) -> Node {
    let answer = match question.verdict.as_str() {
        "allow" => format!("yes, by {}", question.determined_by.join(", ")),
        "deny" if question.determined_by.is_empty() => "no: no permit is satisfied".to_owned(),
        "deny" => format!("no, by {}", question.determined_by.join(", ")),
        _ => "it could not be asked".to_owned(),
    };
    let mut node = Node::labelled(
        "question",
        format!(
            "may {} do {} to {}?  {answer}",
            question.principal.trim_end_matches("::\"\""),
            question.action,
            question.resource
        ),
    );
    if let Some(error) = &question.error {
        node.push(Node::line(error.clone()).marked(Mark::Error));
    }
    for entity in &question.entities {
        let mut shown = Node::labelled("entity", entity.uid.clone());
        if !entity.ancestors.is_empty() {
            shown.tell("in", entity.ancestors.join(", "));
        }
        for (name, value) in &entity.attributes {
            shown.tell("attribute", format!("{name} = {value}"));
        }
        for (name, value) in &entity.tags {
            shown.tell("tag", format!("{name:?} = {}", spaced(value)));
        }
        if !shown.is_bare() {
            node.push(shown);
        }
    }
    for (name, value) in &question.context {
        node.tell("context", format!("{name} = {}", spaced(value)));
    }
    let (near, far): (Vec<&Policy>, Vec<&Policy>) = question
        .policies
        .iter()
        .partition(|shown| shown.effect == "permit" || shown.result != "not_satisfied");
    for shown in near.into_iter().chain(far) {
        node.push(policy(shown, question.verdict == "allow"));
    }
    if question.verdict != "allow" {
        for shown in question.near.iter().filter(|shown| is_near(shown)) {
            node.push(beside(shown));
        }
    }
    let told = question
        .near
        .iter()
        .filter(|shown| is_near(shown) && question.verdict != "allow");
    let others = question.others + question.near.len() - told.count();
    if others > 0 {
        let policies = if others == 1 { "policy is" } else { "policies are" };
        node.push(
            Node::line(format!("{others} other {policies} about something else")).marked(Mark::Skipped),
        );
    }
    node
}

fn policy(policy: &Policy, allowed: bool) -> Node {
    let (mark, result) = match (policy.result.as_str(), policy.effect.as_str()) {
        ("satisfied", "permit") => (Mark::Yes, "satisfied"),
        ("satisfied", _) => (Mark::No, "satisfied: it forbids"),
        ("error", "permit") => (Mark::Error, "cannot be evaluated, so it does not count"),
        ("error", _) => (Mark::Error, "cannot be evaluated, so it forbids"),
        (_, "permit") if allowed => (Mark::Skipped, "not satisfied, and not needed"),
        (_, "permit") => (Mark::No, "not satisfied"),
        _ => (Mark::Skipped, "does not apply"),
    };
    let place = policy
        .place
        .as_ref()
        .map(|place| format!("  {place}"))
        .unwrap_or_default();
    let mut node = Node::labelled(&policy.effect, format!("{}  {result}", policy.id))
        .marked(mark)
        .noted(place.trim_start());
    if let Some(message) = &policy.message {
        node.push(Node::line(message.clone()).marked(Mark::Error));
    }
    // Of what did not matter, that it did not is enough.
    if mark != Mark::Skipped {
        node.below(policy.conditions.iter().map(of_condition));
    }
    node
}

/// True if nothing but one part of its scope is missing, and that is not the type of the resource.
fn is_near(policy: &Policy) -> bool {
    matches!(policy.unmet.as_slice(), [only] if !only.expression.starts_with("resource is "))
}

/// A permit that is for something else, and would have permitted.
fn beside(policy: &Policy) -> Node {
    let mut node = Node::labelled(&policy.effect, format!("{}  for something else", policy.id))
        .marked(Mark::Skipped)
        .noted(policy.place.clone().unwrap_or_default());
    node.push(Node::line(policy.message.clone().unwrap_or_default()).marked(Mark::No));
    node
}

fn of_condition(condition: &Condition) -> Node {
    let expression = &condition.expression;
    if expression.parts.is_empty() {
        let mut node = part(expression);
        node = node.prefixed(&format!("{} ", condition.kind));
        return node;
    }
    let mut node = Node::line(words(&condition.kind, expression)).marked(mark(expression));
    for inner in &expression.parts {
        node.push(part(inner));
    }
    node
}

/// `when all of`, `unless one of`.
fn words(kind: &str, expression: &Part) -> String {
    let operator = match expression.operator.as_deref() {
        Some("||") => "one of",
        _ => "all of",
    };
    format!("{kind} {operator}").trim_start().to_owned()
}

fn part(part: &Part) -> Node {
    if part.parts.is_empty() {
        let note = match part.value.as_str() {
            "not_reached" => "not reached".to_owned(),
            _ => part.because.clone().unwrap_or_default(),
        };
        return Node::line(part.text.clone()).marked(mark(part)).noted(note);
    }
    let mut node = Node::line(words("", part)).marked(mark(part));
    for inner in &part.parts {
        node.push(self::part(inner));
    }
    node
}

fn mark(part: &Part) -> Mark {
    match part.value.as_str() {
        "true" => Mark::Yes,
        "false" => Mark::No,
        "error" => Mark::Error,
        _ => Mark::Skipped,
    }
}

fn reply(of: &Explanation) -> Node {
    let reply = &of.reply;
    let mut node = Node::labelled(
        "reply",
        match (reply.status, &reply.body) {
            (None, _) => "pass the request on".to_owned(),
            (Some(status), Some(body)) => format!("{status} {body:?}"),
            (Some(status), None) => status.to_string(),
        },
    );
    if let Some(redirect) = &reply.redirect {
        node.tell("login", redirect.clone());
    }
    for (name, value) in &reply.set {
        node.tell("set", format!("{name}: {value}"));
    }
    // Frameworks take `_` for `-`, so every spelling is removed; one of them says it.
    let (names, spellings): (Vec<&str>, Vec<&str>) = reply
        .removed
        .iter()
        .map(String::as_str)
        .partition(|name| !name.contains('_'));
    let mut removed = names.join(", ");
    if !spellings.is_empty() {
        let _ = write!(removed, ", and {} spellings with `_`", spellings.len());
    }
    node.tell("remove", removed.trim_start_matches(", "));
    for (name, value) in &reply.response_headers {
        node.tell("add to answer", format!("{name}: {value}"));
    }
    let set = reply
        .set_query
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    node.tell("set in query", set.collect::<Vec<_>>().join(", "));
    node.tell("remove from query", reply.remove_query.join(", "));
    node
}

fn time(of: &Explanation) -> Node {
    let total: f64 = of.steps.iter().map(|step| step.microseconds).sum();
    let steps = of
        .steps
        .iter()
        .map(|step| format!("{} {}", step.step, step.microseconds));
    let steps = steps.collect::<Vec<_>>().join(", ");
    let mut node = Node::labelled("decision", of.decision_id.clone());
    node.tell("rules", of.version.clone());
    if total > 0.0 {
        node.tell("time", format!("{total:.1} µs: {steps}"));
    }
    node
}

/// JSON with a blank behind each comma.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(spaced).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", spaced(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}
