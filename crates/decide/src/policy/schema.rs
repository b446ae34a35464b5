//! The schema: entity types from the user's files, actions and context generated from the routes.
//!
//! Cedar cannot extend a declared type or action from another fragment, and what a request can be is said by the routes
//! already; so nobody has to write it twice.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use cedar_policy::EntityTypeName;
use model::Actor;

use crate::problem::{Problem, did_you_mean};
use crate::routes::RouteSettings;
use crate::settings::{CorsPreflight, Expose, Settings};

/// The name of the generated part in messages.
pub const GENERATED: &str = "<generated from routes>";
/// The action of a permitted CORS preflight.
pub(crate) const CORS_PREFLIGHT: &str = "cors.preflight";
/// The action of a TCP connection.
pub(crate) const TCP_CONNECT: &str = "tcp.connect";

/// Every type that can ask: the kinds of principal, and those who act for them.
pub(super) const PRINCIPAL_TYPES: [&str; 5] = ["User", "Client", "Robot", "Anonymous", Actor::TYPE];

/// Methods that may stand in an action group although no route uses them.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT",
];

/// Every action with the resource types it applies to, and the groups.
#[derive(Clone, Debug, Default)]
pub struct ActionTable {
    /// Actions of HTTP requests.
    http: BTreeMap<String, HttpAction>,
    /// Resource types of `tcp.connect`.
    tcp: BTreeSet<String>,
    /// Entity types that are declared beside the user's, in Cedar's syntax.
    types: &'static str,
    groups: BTreeMap<String, Vec<String>>,
    /// Each member with the groups that have it.
    parents: HashMap<String, Vec<String>>,
}

/// What the routes of an action say.
#[derive(Clone, Debug, Default)]
struct HttpAction {
    /// The resource types it applies to.
    kinds: BTreeSet<String>,
    /// Everything that some of its routes shows to policies.
    expose: Expose,
}

impl HttpAction {
    fn add(&mut self, route: &RouteSettings, global: &Expose) {
        self.kinds.extend(type_name(&route.resource.kind));
        let own = route.expose.as_ref().map(|own| own.over(global));
        self.expose.add(own.as_ref().unwrap_or(global));
    }
}

impl ActionTable {
    /// Collects the actions of all routes and checks the groups.
    pub fn of(settings: &Settings, problems: &mut Vec<Problem>) -> Self {
        let mut table = Self::default();
        for (index, route) in settings.routes.iter().enumerate() {
            let names: Vec<&String> = match &route.action {
                Some(name) => vec![name],
                None => route.methods.iter().collect(),
            };
            for name in names {
                if is_action_name(name) {
                    let action = table.http.entry(name.clone()).or_default();
                    action.add(route, &settings.expose);
                } else {
                    problems.push(Problem::setting(
                        format!(
                            "/routes/{index}/{}",
                            if route.action.is_some() {
                                "action"
                            } else {
                                "methods"
                            }
                        ),
                        format!("`{name}` is no action name"),
                        "use letters, digits, `.`, `_` and `-`",
                    ));
                }
            }
            for (_, name) in route.destination_actions() {
                table.http.entry(name).or_default().add(route, &settings.expose);
            }
            if settings.cors_preflight == CorsPreflight::Allow {
                let action = table.http.entry(CORS_PREFLIGHT.to_owned()).or_default();
                action.add(route, &settings.expose);
            }
        }
        table.tcp = settings
            .tcp
            .iter()
            .filter_map(|tcp| type_name(&tcp.resource.kind))
            .collect();
        for (group, members) in &settings.actions {
            table.add_group(group, members, settings, problems);
        }
        table
    }

    /// Actions that no route has, each with the one entity type it is about, and the types.
    pub(crate) fn of_house<'a>(
        actions: impl IntoIterator<Item = (&'a str, &'a str)>,
        types: &'static str,
        settings: &Settings,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut table = Self {
            types,
            ..Self::default()
        };
        for (name, kind) in actions {
            let action = table.http.entry(name.to_owned()).or_default();
            action.kinds.insert(kind.to_owned());
        }
        for (group, members) in &settings.actions {
            table.add_group(group, members, settings, problems);
        }
        table
    }

    fn add_group(
        &mut self,
        group: &str,
        members: &[String],
        settings: &Settings,
        problems: &mut Vec<Problem>,
    ) {
        let pointer = format!("/actions/{group}");
        let mut refuse = |message: String, help: &str| problems.push(Problem::name(&pointer, message, help));
        if !is_action_name(group) {
            return refuse(
                format!("`{group}` is no name for a group of actions"),
                "use letters, digits, `.`, `_` and `-`",
            );
        }
        if self.http.contains_key(group) {
            return refuse(
                format!("`{group}` cannot name a group: some route has an action of that name"),
                "choose another name for the group",
            );
        }
        for (index, member) in members.iter().enumerate() {
            let known = self.http.contains_key(member)
                || settings.actions.contains_key(member)
                || METHODS.contains(&member.as_str())
                || (member == TCP_CONNECT && !settings.tcp.is_empty());
            if !known {
                let names = || self.http.keys().map(String::as_str);
                let help = match did_you_mean(member, names().chain(METHODS)) {
                    help if help.is_empty() => {
                        format!("routes have: {}", names().collect::<Vec<_>>().join(", "))
                    }
                    help => help,
                };
                problems.push(Problem::setting(
                    format!("{pointer}/{index}"),
                    format!("no route has the action `{member}`"),
                    help,
                ));
            }
        }
        for member in members {
            self.parents
                .entry(member.clone())
                .or_default()
                .push(group.to_owned());
        }
        self.groups.insert(group.to_owned(), members.to_vec());
    }

    /// The generated part of the schema, in Cedar's syntax.
    pub fn schema_text(&self, settings: &Settings) -> String {
        let mut text = String::from("\n// ---- generated from the routes; not to be edited ----\n");
        text.push_str(self.types);
        let principals = PRINCIPAL_TYPES.join(", ");
        let contexts = self.contexts(settings);
        for (context, name) in &contexts {
            let _ = writeln!(text, "type {name} = {{\n{context}}};");
        }
        for group in self.groups.keys() {
            let _ = writeln!(text, "action {}{};", quoted(group), self.parents(group));
        }
        let contexts: HashMap<&str, &str> = contexts
            .iter()
            .map(|(c, name)| (c.as_str(), name.as_str()))
            .collect();
        let parts = Parts::of(&self.http, settings);
        for (name, action) in &self.http {
            let kinds: Vec<&str> = action.kinds.iter().map(String::as_str).collect();
            let context = request_context(&action.expose, &parts, settings);
            let context = contexts.get(context.as_str());
            let _ = writeln!(
                text,
                "action {}{} appliesTo {{ principal: [{principals}], resource: [{}], context: {} }};",
                quoted(name),
                self.parents(name),
                kinds.join(", "),
                context.copied().unwrap_or_default(),
            );
        }
        if !self.tcp.is_empty() {
            let kinds: Vec<&str> = self.tcp.iter().map(String::as_str).collect();
            let context =
                "  client_ip?: ipaddr,\n  time: datetime,\n  destination_port?: Long,\n  sni?: String,\n";
            let _ = writeln!(
                text,
                "action {}{} appliesTo {{ principal: [Robot, Anonymous], resource: [{}], context: {{\n{context}}} }};",
                quoted(TCP_CONNECT),
                self.parents(TCP_CONNECT),
                kinds.join(", "),
            );
        }
        text
    }

    /// The different types of `context` and their names: one unless some routes show more than others.
    fn contexts(&self, settings: &Settings) -> Vec<(String, String)> {
        let parts = Parts::of(&self.http, settings);
        let mut contexts: Vec<(String, String)> = Vec::new();
        let mut known = HashSet::new();
        for action in self.http.values() {
            let context = request_context(&action.expose, &parts, settings);
            if known.insert(context.clone()) {
                let name = match contexts.len() {
                    0 => "RequestContext".to_owned(),
                    others => format!("RequestContext{}", others + 1),
                };
                contexts.push((context, name));
            }
        }
        contexts
    }

    fn parents(&self, member: &str) -> String {
        let mut parents: Vec<String> = self
            .parents
            .get(member)
            .into_iter()
            .flatten()
            .map(|g| quoted(g))
            .collect();
        parents.dedup();
        if parents.is_empty() {
            String::new()
        } else {
            format!(" in [{}]", parents.join(", "))
        }
    }
}

/// The parts of `context` that are there because some route shows something of them: an action whose routes show nothing of
/// it has an empty part, so that a policy for all actions can ask.
struct Parts([bool; 5]);

impl Parts {
    fn of(actions: &BTreeMap<String, HttpAction>, settings: &Settings) -> Self {
        let shown = |expose: &Expose| exposed(expose).map(|(_, members)| !members.is_empty());
        let all = actions
            .values()
            .map(|action| shown(&action.expose))
            .chain([shown(&settings.expose)]);
        Self(all.fold([false; 5], |all, some| {
            let mut both = all;
            both.iter_mut().zip(some).for_each(|(both, some)| *both |= some);
            both
        }))
    }
}

/// The parts of a request that are shown only if the configuration says so, and their members.
fn exposed(expose: &Expose) -> [(&'static str, Vec<&str>); 5] {
    fn names(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }
    [
        ("headers", names(&expose.headers)),
        ("query", names(&expose.query)),
        ("extensions", names(&expose.extensions)),
        ("metadata", expose.metadata.keys().map(String::as_str).collect()),
        ("body", names(&expose.body)),
    ]
}

/// The members of `context`; [`super::context`] fills what policies mention.
fn request_context(expose: &Expose, parts: &Parts, settings: &Settings) -> String {
    let mut text = String::from(
        "  method: String,\n  scheme: String,\n  host: String,\n  path: String,\n  client_ip?: ipaddr,\n  \
         time: datetime,\n  issuer?: String,\n  scopes: Set<String>,\n  audiences: Set<String>,\n  \
         capabilities: Set<String>,\n  capabilities_below: Set<String>,\n  actor?: Actor,\n  \
         subject?: { \"type\": String, id: String, issuer: String, subject: String, name?: String },\n  token_age?: Long,\n  body_truncated: Bool,\n  \
         peer?: String,\n  destination?: { host: String, path?: String },\n  source?: { host: String },\n",
    );
    if settings.magpie.is_some() {
        text.push_str(
            "  magpie?: { allowed: Bool, reason: String, service: String, service_type: String, permissions: Set<String>, \
             resources: Set<String> },\n",
        );
    }
    for ((name, members), _) in exposed(expose)
        .into_iter()
        .zip(parts.0)
        .filter(|(_, there)| *there)
    {
        let members: Vec<String> = members
            .iter()
            .map(|m| format!("{}?: String", quoted(m)))
            .collect();
        let _ = writeln!(text, "  {name}: {{ {} }},", members.join(", "));
    }
    text
}

/// What is no name of a type stays out of the generated text; whoever compiles the route says what is wrong with it.
fn type_name(kind: &str) -> Option<String> {
    kind.parse::<EntityTypeName>().ok().map(|_| kind.to_owned())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

fn is_action_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
