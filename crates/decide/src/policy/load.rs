//! Schema, policy and data files -> [`Policies`], with every problem found on the way.

mod annotations;
mod depth;
mod findings;
mod links;
mod types;
mod unseen;
mod validate;

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, Template};

use super::context::ContextUse;
use super::engine::Engine;
use super::schema::{ActionTable, CORS_PREFLIGHT};
use super::self_check::{Backend, INLINE, SelfCheck};
use super::{DataFile, ForbidAnswer, Header, Known, Policies, entities, entity_data};
use crate::problem::Problem;
use crate::settings::{CorsPreflight, Settings};
use annotations::{Annotated, check_annotations};
pub(crate) use findings::Findings;
pub(super) use findings::error_in;
use validate::flatten;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name in messages.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Everything that policies are made of, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// `*.cedarschema`: entity types.
    pub schema: Vec<SourceFile>,
    /// `*.cedar`: policies and templates.
    pub policies: Vec<SourceFile>,
    /// Which templates are linked with whom.
    pub links: Vec<DataFile>,
    /// What is known of entities besides what tokens and routes say.
    pub entities: Vec<DataFile>,
    /// `*.cedar`: policies about the house itself.
    pub authority: Vec<SourceFile>,
    /// Magpie's services and permissions.
    pub magpie: Vec<DataFile>,
}

impl Sources {
    /// All files of these, each once.
    pub fn all(several: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for sources in several {
            add_new(&mut all.schema, sources.schema, |file| &file.name);
            add_new(&mut all.policies, sources.policies, |file| &file.name);
            add_new(&mut all.links, sources.links, |file| &file.name);
            add_new(&mut all.entities, sources.entities, |file| &file.name);
            add_new(&mut all.authority, sources.authority, |file| &file.name);
            add_new(&mut all.magpie, sources.magpie, |file| &file.name);
        }
        all
    }

    /// Name and text of every file.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.schema.iter().chain(&self.policies).chain(&self.authority);
        let data = self.links.iter().chain(&self.entities).chain(&self.magpie);
        let files = files.map(|file| (file.name.as_str(), file.text.as_str()));
        files.chain(data.map(|file| (file.name.as_str(), file.text.as_str())))
    }
}

/// Adds what has another name than all that are there.
fn add_new<F>(to: &mut Vec<F>, from: Vec<F>, name: impl Fn(&F) -> &str) {
    for file in from {
        if to.iter().all(|known| name(known) != name(&file)) {
            to.push(file);
        }
    }
}

/// Names that begin like this belong to built-in permits.
const BUILT_IN: &str = "portcullis.";

/// What was found in the policy files.
#[derive(Default)]
struct Loaded {
    set: PolicySet,
    policies: HashMap<PolicyId, Origin>,
    templates: HashMap<PolicyId, Origin>,
}

/// A policy or template and where it is written.
struct Origin {
    known: Known,
    /// Index of the policy file; none for what is built in.
    file: Option<usize>,
    span: (usize, usize),
}

/// Loads everything, or says everything that is wrong with it.
pub(crate) fn load(
    settings: &Settings,
    actions: &ActionTable,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Option<Policies> {
    let schema = types::load_schema(settings, actions, sources, problems);
    let mut loaded = load_policies(settings, sources, problems);
    let (schema, schema_text) = schema?;
    for (kind, message) in entities::principals_conform(&schema) {
        problems.push(Problem::setting(
            "/policies/schema",
            format!("principals of type {kind} do not fit the schema: {message}"),
            "compare with the types in policies/default/schema.cedarschema: identity fills these attributes",
        ));
    }
    let action_entities = match schema.action_entities() {
        Ok(entities) => entities,
        Err(error) => {
            problems.push(Problem::setting("/actions", error.to_string(), ""));
            return None;
        }
    };
    let wrong = validate::validate(&schema, &loaded, sources, problems);
    annotations::check_conflicts(&schema, &loaded, sources, problems);
    unseen::check(&schema, &loaded, settings, sources, problems);
    // What is linked needs no validation of its own, and what looks at the context is the same in every link.
    let context = ContextUse::of(&loaded.set);
    let headers = header_names(&loaded);
    let before = problems.len();
    let links = links::read(&sources.links, &schema, &loaded, problems);
    let complete = problems.len() == before;
    links::validate(&links, &schema, &loaded, &wrong, sources, problems);
    let entities = entity_data::load(&sources.entities, &schema, &loaded.set, problems);
    if complete {
        links::unused(&links.links, &loaded, sources, problems);
    }
    let places = links.places(sources);
    let templates = links.links.templates.iter();
    let templates: Vec<Option<Known>> = templates
        .map(|id| loaded.templates.get(id).map(|origin| origin.known.clone()))
        .collect();
    let mut engine = match Engine::new(loaded.set, links.links, &action_entities) {
        Ok(engine) => engine,
        Err(message) => {
            problems.push(Problem::setting("/policies/links", message, ""));
            return None;
        }
    };
    let book = Arc::clone(engine.book());
    let links = &book.links().all;
    let known = engine.names().map(|(name, link)| match link {
        None => {
            let origin = loaded.policies.remove(&PolicyId::new(name))?;
            Some(origin.known)
        }
        Some(place) => {
            let template = templates.get(links.get(place)?.template as usize)?.as_ref()?;
            Some(Known {
                name: Arc::clone(name),
                effect: template.effect,
                place: places.get(place)?.clone(),
                answer: template.answer.clone(),
                headers: Arc::clone(&template.headers),
            })
        }
    });
    let known: Vec<Known> = known.collect::<Option<_>>()?;
    drop(book);
    // Where Cedar's `Authorizer` is asked while somebody waits.
    if (settings.engine.backend == Backend::Authorizer || known.len() <= INLINE)
        && let Err(message) = engine.join()
    {
        problems.push(Problem::setting("/policies/links", message, ""));
        return None;
    }
    // Every satisfied permit sets its headers.
    engine.always_tell(known.iter().map(|known| !known.headers.is_empty()));
    Some(Policies {
        engine,
        known,
        context,
        headers,
        entities: Arc::new(entities),
        actions: action_entities
            .iter()
            .map(|action| (action.uid(), action.clone()))
            .collect(),
        schema,
        schema_text,
        backend: settings.engine.backend,
        self_check: SelfCheck::new(settings.engine.self_check_every),
    })
}

/// The headers that some permit sets.
fn header_names(loaded: &Loaded) -> Vec<Arc<str>> {
    let origins = loaded.policies.values().chain(loaded.templates.values());
    let headers = origins.flat_map(|origin| origin.known.headers.iter());
    let mut names: Vec<Arc<str>> = headers.map(|(name, _)| name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A policy or a template: they are written the same way.
enum Written<'p> {
    Policy(&'p Policy),
    Template(&'p Template),
}

impl Written<'_> {
    fn number(&self) -> usize {
        number(match self {
            Self::Policy(policy) => policy.id(),
            Self::Template(template) => template.id(),
        })
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Policy(policy) => policy.to_cedar(),
            Self::Template(template) => Some(template.to_cedar()),
        }
    }

    fn annotated(&self) -> Annotated<'_> {
        match self {
            Self::Policy(policy) => Annotated::new(policy.effect(), policy.annotations()),
            Self::Template(template) => Annotated::new(template.effect(), template.annotations()),
        }
    }
}

fn load_policies(settings: &Settings, sources: &Sources, problems: &mut Vec<Problem>) -> Loaded {
    let mut loaded = Loaded::default();
    for (index, file) in sources.policies.iter().enumerate() {
        if depth::check(file, problems) {
            continue;
        }
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
        let templates = parsed.templates().map(Written::Template);
        let mut all: Vec<Written<'_>> = parsed.policies().map(Written::Policy).chain(templates).collect();
        all.sort_by_cached_key(Written::number);
        let mut from = 0;
        let (file_name, mut lines) = (Arc::<str>::from(file.name.as_str()), Lines::of(&file.text));
        for written in &all {
            let annotated = written.annotated();
            let name: Arc<str> = match annotated.get("id") {
                Some(id) if !id.is_empty() => id.into(),
                _ => format!("{}#{}", file.name, written.number()).into(),
            };
            let rest = file.text.get(from..).unwrap_or_default();
            let found = written
                .text()
                .and_then(|text| Some((from + rest.find(&text)?, text.len())));
            let span = found.unwrap_or((0, 0));
            from = span.0 + span.1;
            let mut problem = |message: String, help: &str| {
                problems.push(Problem::source(&file.name, span, message, help));
            };
            if name.starts_with(BUILT_IN) {
                let message =
                    format!("`{name}`: names that begin with `{BUILT_IN}` are those of built-in permits");
                problem(message, "give it another @id");
            }
            let headers = check_annotations(&annotated, &name, settings, &mut problem);
            let known = Known {
                name: Arc::clone(&name),
                effect: annotated.effect,
                place: Some((Arc::clone(&file_name), lines.at(span.0))),
                answer: ForbidAnswer {
                    status: annotated.get("status").and_then(|status| status.parse().ok()),
                    reason: annotated.get("reason").map(Arc::from),
                },
                headers,
            };
            let origin = Origin {
                known,
                file: Some(index),
                span,
            };
            if !loaded.add(written, origin) {
                problem(
                    format!("two policies have the @id `{name}`"),
                    "give it another @id",
                );
            }
        }
    }
    if settings.cors_preflight == CorsPreflight::Allow && !settings.routes.is_empty() {
        let text = format!("permit(principal, action == Action::\"{CORS_PREFLIGHT}\", resource);");
        if let Ok(policy) = Policy::parse(None, text) {
            let known = Known {
                name: "portcullis.cors-preflight".into(),
                effect: Effect::Permit,
                place: None,
                answer: ForbidAnswer::default(),
                headers: no_headers(),
            };
            let origin = Origin {
                known,
                file: None,
                span: (0, 0),
            };
            loaded.add(&Written::Policy(&policy), origin);
        }
    }
    loaded
}

impl Loaded {
    /// False if the name is taken.
    fn add(&mut self, written: &Written<'_>, origin: Origin) -> bool {
        let id = PolicyId::new(&origin.known.name);
        if self.policies.contains_key(&id) || self.templates.contains_key(&id) {
            return false;
        }
        match written {
            Written::Policy(policy) => {
                let added = self.set.add(policy.new_id(id.clone())).is_ok();
                self.policies.insert(id, origin);
                added
            }
            Written::Template(template) => {
                let added = self.set.add_template(template.new_id(id.clone())).is_ok();
                self.templates.insert(id, origin);
                added
            }
        }
    }

    fn origin(&self, id: &PolicyId) -> Option<&Origin> {
        self.policies.get(id).or_else(|| self.templates.get(id))
    }
}

/// Counts lines on the way through a text, from one place to the next.
struct Lines<'t> {
    text: &'t str,
    byte: usize,
    line: usize,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            byte: 0,
            line: 1,
        }
    }

    /// The line that a byte is in, from 1.
    fn at(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            (self.byte, self.line) = (0, 1);
        }
        let passed = self.text.get(self.byte..byte).unwrap_or_default();
        self.line += passed.matches('\n').count();
        self.byte = byte;
        self.line
    }
}

fn no_headers() -> Arc<[Header]> {
    Arc::from([])
}

/// The schema's entity types, in order.
fn declared_types(schema: &Schema) -> Vec<String> {
    let mut declared: Vec<String> = schema.entity_types().map(ToString::to_string).collect();
    declared.sort_unstable();
    declared
}

/// Cedar names the policies of a file `policy0`, `policy1`, …
pub(super) fn number(id: &PolicyId) -> usize {
    let id = id.to_string();
    id.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}
