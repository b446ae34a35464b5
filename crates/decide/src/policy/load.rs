//! Schema and policy files -> [`Policies`], with every problem found on the way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Effect, EntityTypeName, Policy, PolicyId, PolicySet, Schema, SchemaFragment, ValidationMode,
    ValidationWarning, Validator,
};
use miette::Diagnostic;

use super::context::ContextUse;
use super::schema::{ActionTable, CORS_PREFLIGHT, GENERATED, PRINCIPAL_TYPES};
use super::{ForbidAnswer, Known, Policies, entities, reason};
use crate::problem::{Problem, did_you_mean};
use crate::settings::{CorsPreflight, Settings};
use crate::status::is_denial_status;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name in messages.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Schema and policy files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `*.cedarschema`: entity types.
    pub schema: Vec<SourceFile>,
    /// `*.cedar`: policies.
    pub policies: Vec<SourceFile>,
}

impl Sources {
    /// All files of these, each once.
    pub fn all(several: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for sources in several {
            let add = |to: &mut Vec<SourceFile>, from: Vec<SourceFile>| {
                for file in from {
                    if !to.contains(&file) {
                        to.push(file);
                    }
                }
            };
            add(&mut all.schema, sources.schema);
            add(&mut all.policies, sources.policies);
        }
        all
    }
}

/// Annotations that mean something.
const ANNOTATIONS: [&str; 4] = ["id", "reason", "status", "doc"];

/// Loads everything, or says everything that is wrong with it.
pub(crate) fn load(
    settings: &Settings,
    actions: &ActionTable,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Option<Policies> {
    let schema = load_schema(settings, actions, sources, problems);
    let (set, known) = load_policies(settings, sources, problems);
    let (schema, schema_text) = schema?;
    for (kind, message) in entities::principals_conform(&schema) {
        problems.push(Problem::setting(
            "/policies/schema",
            format!("principals of type {kind} do not fit the schema: {message}"),
            "compare with the types in policies/default/schema.cedarschema: identity fills these attributes",
        ));
    }
    let actions = match schema.action_entities() {
        Ok(entities) => entities
            .iter()
            .map(|action| (action.uid(), action.clone()))
            .collect(),
        Err(error) => {
            problems.push(Problem::setting("/actions", error.to_string(), ""));
            return None;
        }
    };
    problems.extend(validate(&schema, &set, &known, sources));
    Some(Policies {
        context: ContextUse::of(&set, &settings.expose),
        set,
        known: known.into_iter().map(|(id, (known, _))| (id, known)).collect(),
        actions,
        schema,
        schema_text,
        authorizer: Authorizer::new(),
    })
}

/// The user's files are read as one text, so that types may refer to each other across files; then once more with what
/// the routes add.
fn load_schema(
    settings: &Settings,
    actions: &ActionTable,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Option<(Schema, String)> {
    let declared: String = sources
        .schema
        .iter()
        .map(|file| format!("{}\n", file.text))
        .collect();
    let types = read_schema(&declared, sources, problems)?;
    let before = problems.len();
    check_types(settings, &types, problems);
    if problems.len() > before {
        return None;
    }
    let text = declared + &actions.schema_text(settings);
    Some((read_schema(&text, sources, problems)?, text))
}

fn read_schema(text: &str, sources: &Sources, problems: &mut Vec<Problem>) -> Option<Schema> {
    let mut report = |error: &dyn Diagnostic| {
        for (message, help, (offset, length)) in flatten(error) {
            let (mut file, mut start) = (GENERATED, offset);
            for source in &sources.schema {
                if start <= source.text.len() {
                    file = &source.name;
                    break;
                }
                start -= source.text.len() + 1;
            }
            problems.push(Problem::source(file, (start, length), message, help));
        }
    };
    let fragment = match SchemaFragment::from_cedarschema_str(text) {
        Ok((fragment, _warnings)) => fragment,
        Err(error) => {
            report(&error);
            return None;
        }
    };
    Schema::from_schema_fragments([fragment])
        .map_err(|error| report(&error))
        .ok()
}

/// Every entity type that the configuration names must be declared.
fn check_types(settings: &Settings, schema: &Schema, problems: &mut Vec<Problem>) {
    let mut declared: Vec<String> = schema.entity_types().map(ToString::to_string).collect();
    declared.sort_unstable();
    let mut check = |pointer: String, kind: &str| {
        // What is no name at all is reported where routes are compiled.
        let named = kind.parse::<EntityTypeName>().is_ok();
        if named && !declared.iter().any(|known| known == kind) {
            let help = match did_you_mean(kind, declared.iter().map(String::as_str)) {
                help if help.is_empty() => {
                    format!("declared are {}; or add `entity {kind};`", declared.join(", "))
                }
                help => help,
            };
            let message = format!("no schema file declares the entity type `{kind}`");
            problems.push(Problem::setting(pointer, message, help));
        }
    };
    for (index, route) in settings.routes.iter().enumerate() {
        check(format!("/routes/{index}/resource/type"), &route.resource.kind);
        for (i, ancestor) in route.resource.ancestors.iter().enumerate() {
            check(format!("/routes/{index}/resource/in/{i}/type"), &ancestor.kind);
        }
    }
    for (index, tcp) in settings.tcp.iter().enumerate() {
        check(format!("/tcp/{index}/resource/type"), &tcp.resource.kind);
    }
    for kind in PRINCIPAL_TYPES {
        if !declared.iter().any(|known| known == kind) {
            problems.push(Problem::setting(
                "/policies/schema",
                format!("no schema file declares the principal type `{kind}`"),
                "policies/default/schema.cedarschema has the types of all principals",
            ));
        }
    }
}

type Loaded = HashMap<PolicyId, (Known, Option<usize>)>;

fn load_policies(settings: &Settings, sources: &Sources, problems: &mut Vec<Problem>) -> (PolicySet, Loaded) {
    let mut set = PolicySet::new();
    let mut known = Loaded::new();
    for (index, file) in sources.policies.iter().enumerate() {
        let parsed: PolicySet = match file.text.parse() {
            Ok(parsed) => parsed,
            Err(errors) => {
                let errors: cedar_policy::ParseErrors = errors;
                for error in errors.iter() {
                    for (message, help, span) in flatten(error) {
                        problems.push(Problem::source(&file.name, span, message, help));
                    }
                }
                continue;
            }
        };
        for template in parsed.templates() {
            let name = template
                .annotation("id")
                .unwrap_or_else(|| template.id().as_ref());
            let place = ["?principal", "?resource"]
                .iter()
                .find_map(|slot| Some((file.text.find(slot)?, slot.len())));
            problems.push(Problem::source(
                &file.name,
                place.unwrap_or((0, 0)),
                format!("`{name}` is a template, and nothing links templates"),
                "write a policy without `?principal` and `?resource`",
            ));
        }
        let mut policies: Vec<&Policy> = parsed.policies().collect();
        policies.sort_by_key(|policy| number(policy.id()));
        for policy in policies {
            let name: Arc<str> = match policy.annotation("id") {
                Some(id) if !id.is_empty() => id.into(),
                _ => format!("{}#{}", file.name, number(policy.id())).into(),
            };
            let span = policy
                .to_cedar()
                .and_then(|text| file.text.find(&text).map(|at| (at, text.len())));
            check_annotations(policy, &name, file, span.unwrap_or((0, 0)), problems);
            add(&mut set, &mut known, policy, &name, Some(index), |message| {
                problems.push(Problem::source(
                    &file.name,
                    span.unwrap_or((0, 0)),
                    message,
                    "give it another @id",
                ));
            });
        }
    }
    if settings.cors_preflight == CorsPreflight::Allow && !settings.routes.is_empty() {
        let text = format!("permit(principal, action == Action::\"{CORS_PREFLIGHT}\", resource);");
        if let Ok(policy) = Policy::parse(None, text) {
            add(
                &mut set,
                &mut known,
                &policy,
                "portcullis.cors-preflight",
                None,
                |message| {
                    problems.push(Problem::setting(
                        "/cors_preflight",
                        message,
                        "that @id is taken by the built-in policy",
                    ));
                },
            );
        }
    }
    (set, known)
}

fn add(
    set: &mut PolicySet,
    known: &mut Loaded,
    policy: &Policy,
    name: &str,
    file: Option<usize>,
    problem: impl FnOnce(String),
) {
    let id = PolicyId::new(name);
    let answer = ForbidAnswer {
        status: policy.annotation("status").and_then(|status| status.parse().ok()),
        reason: policy.annotation("reason").map(Arc::from),
    };
    match set.add(policy.new_id(id.clone())) {
        Ok(()) => {
            let kept = Known {
                name: name.into(),
                effect: policy.effect(),
                answer,
            };
            known.insert(id, (kept, file));
        }
        Err(_) => problem(format!("two policies have the @id `{name}`")),
    }
}

fn check_annotations(
    policy: &Policy,
    name: &str,
    file: &SourceFile,
    span: (usize, usize),
    problems: &mut Vec<Problem>,
) {
    let mut problem = |message: String, help: String| {
        problems.push(Problem::source(&file.name, span, message, help));
    };
    for (key, value) in policy.annotations() {
        match key {
            "status" | "reason" if policy.effect() == Effect::Permit => problem(
                format!("`{name}` is a permit: @{key} is for forbids"),
                "a request that nothing permits is answered by the route's `on_deny`".to_owned(),
            ),
            "status" if !value.parse().is_ok_and(is_denial_status) => problem(
                format!("`{name}`: @status(\"{value}\") is no status that a denial can have"),
                "use a 4xx that proxies know, such as 403 or 404".to_owned(),
            ),
            "reason" if let Err((message, help)) = reason::check(value) => {
                problem(format!("`{name}`: {message}"), help.to_owned());
            }
            _ if !ANNOTATIONS.contains(&key) => {
                let help = did_you_mean(key, ANNOTATIONS);
                if !help.is_empty() {
                    problem(format!("`{name}`: nothing reads @{key}"), help);
                }
            }
            _ => {}
        }
    }
}

fn validate(schema: &Schema, set: &PolicySet, known: &Loaded, sources: &Sources) -> Vec<Problem> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let mut found: Vec<Problem> = Vec::new();
    let place = |id: &PolicyId, span, message: String, help: String| {
        let policy = known.get(id);
        match policy.and_then(|(_, file)| sources.policies.get((*file)?)) {
            Some(file) => Problem::source(&file.name, span, message, help),
            None => Problem::setting("/policies", message, help),
        }
    };
    let mut wrong: HashSet<&PolicyId> = HashSet::new();
    for error in result.validation_errors() {
        wrong.insert(error.policy_id());
        for (message, help, span) in flatten(error) {
            // Cedar says the same again for every action that a policy is for.
            let message = match message.split_once(" in context for Action::") {
                Some((what, _action)) => format!("{what} in `context` not found"),
                None => message,
            };
            let help = exposed(&message)
                .or_else(|| known_names(&message, schema))
                .unwrap_or(help);
            found.push(place(error.policy_id(), span, message, help));
        }
    }
    let mut dead: HashSet<&PolicyId> = HashSet::new();
    // What is wrong with a policy is said already; that it cannot apply then is no news.
    for warning in result
        .validation_warnings()
        .filter(|w| !wrong.contains(w.policy_id()))
    {
        let id = warning.policy_id();
        let policy = known.get(id).map(|(known, _)| known);
        let name = policy.map_or_else(|| id.to_string(), |known| known.name.to_string());
        let never_applies = matches!(
            warning,
            ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
        );
        for (message, help, span) in flatten(warning) {
            if !never_applies {
                found.push(place(id, span, message, help).advice());
            } else if !dead.insert(id) {
                // Cedar warns of the scope and of the whole policy.
            } else if policy.is_none_or(|known| known.effect == Effect::Forbid) {
                found.push(place(
                    id,
                    span,
                    format!(
                        "the forbid `{name}` can never apply: no request of any route meets its conditions"
                    ),
                    "a forbid that never applies is an open door: mend it or delete it".to_owned(),
                ));
            } else {
                let message = format!(
                    "the permit `{name}` can never apply: no request of any route meets its conditions"
                );
                found.push(place(id, span, message, "mend it or delete it".to_owned()).advice());
            }
        }
    }
    let mut seen = HashSet::new();
    found.retain(|problem| seen.insert((problem.to_string(), problem.help.clone())));
    found
}

/// What there is instead of an unknown type or action. Cedar suggests something too, but not always the same, and be it
/// ever so far off.
fn known_names(message: &str, schema: &Schema) -> Option<String> {
    let unknown = |what: &str| Some(message.split_once(what)?.1.trim_end_matches('`'));
    let (word, mut names): (_, Vec<String>) = if let Some(word) = unknown("unrecognized entity type `") {
        (word, schema.entity_types().map(ToString::to_string).collect())
    } else {
        let word = unknown("unrecognized action `")?;
        (word, schema.actions().map(ToString::to_string).collect())
    };
    names.sort_unstable();
    Some(match did_you_mean(word, names.iter().map(String::as_str)) {
        help if help.is_empty() => format!("known are {}", names.join(", ")),
        help => help,
    })
}

/// What to do about a part of `context` that is there only if the configuration says so.
fn exposed(message: &str) -> Option<String> {
    let part = message
        .strip_suffix("` in `context` not found")
        .and_then(|m| m.rsplit('`').next())?;
    matches!(part, "headers" | "query" | "extensions" | "metadata" | "body")
        .then(|| format!("name what policies may look at in `expose.{part}` of the configuration"))
}

/// Message, help and first span of a diagnostic and of those related to it.
fn flatten(diagnostic: &dyn Diagnostic) -> Vec<(String, String, (usize, usize))> {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let span = label
        .as_ref()
        .map_or((0, 0), |label| (label.offset(), label.len()));
    let mut message = diagnostic.to_string();
    let mut source = std::error::Error::source(diagnostic);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !message.contains(&inner_text) {
            message = format!("{message}: {inner_text}");
        }
        source = inner.source();
    }
    // Of a syntax error the label says what was expected.
    let help = match (diagnostic.help(), label.as_ref().and_then(|label| label.label())) {
        (Some(help), _) => help.to_string(),
        (None, Some(label)) => label.to_owned(),
        (None, None) => String::new(),
    };
    let mut all = vec![(message, help, span)];
    for related in diagnostic.related().into_iter().flatten() {
        all.extend(flatten(related));
    }
    all
}

/// Cedar names the policies of a file `policy0`, `policy1`, …
pub(super) fn number(id: &PolicyId) -> usize {
    let id = id.to_string();
    id.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}
