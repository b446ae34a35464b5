//! Links: grants as data. Each entry of a links file makes a policy of a template.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, SchemaFragment, SlotId, ValidationMode, Validator,
};
use foldhash::fast::RandomState;

use super::validate::{OPEN_DOOR, explained, never_applies};
use super::{BUILT_IN, Findings, Lines, Loaded, Sources};
use crate::policy::engine::{Filled, Link, Links};
use crate::policy::uids::Uids;
use crate::policy::{Data, DataFile, Known};
use crate::problem::{Problem, did_you_mean};

/// What a link may say.
const MEMBERS: [&str; 4] = ["template", "id", "principal", "resource"];

const EXAMPLE: &str =
    "for example `{template: member, principal: 'User::\"main/a\"', resource: 'Page::\"x\"'}`";

/// Links that are well-formed.
#[derive(Default)]
pub(super) struct Found {
    pub(super) links: Links,
    /// Where each of them stands.
    at: Vec<At>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    file: usize,
    span: (usize, usize),
}

/// A template as links need it.
struct Slots {
    number: u32,
    principal: bool,
    resource: bool,
}

/// Reads the links of all files; what is wrong with some does not keep the others from being looked at.
pub(super) fn read(
    files: &[DataFile],
    schema: &Schema,
    loaded: &Loaded,
    problems: &mut Vec<Problem>,
) -> Found {
    let uids = Uids::new(schema);
    let mut found = Found::default();
    found.links.kinds = uids.kinds();
    let mut templates: HashMap<&str, Slots> = HashMap::new();
    for (template, number) in loaded.set.templates().zip(0..) {
        found.links.templates.push(template.id().clone());
        let has = |slot: SlotId| template.slots().any(|found| *found == slot);
        let slots = Slots {
            number,
            principal: has(SlotId::principal()),
            resource: has(SlotId::resource()),
        };
        if let Some(origin) = loaded.templates.get(template.id()) {
            templates.insert(&*origin.known.name, slots);
        }
    }
    let count: usize = files
        .iter()
        .filter_map(|file| file.data.list())
        .map(<[Data]>::len)
        .sum();
    found.links.all.reserve_exact(count);
    found.at.reserve_exact(count);
    let taken = loaded.policies.values().chain(loaded.templates.values());
    let mut names: HashSet<Arc<str>, RandomState> =
        taken.map(|origin| Arc::clone(&origin.known.name)).collect();
    names.reserve(count);
    for (index, file) in files.iter().enumerate() {
        let mut findings = Findings::new(file);
        match file.data.list() {
            Some(entries) => {
                for entry in entries {
                    let Some(link) = read_entry(entry, &templates, &uids, &mut findings) else {
                        continue;
                    };
                    if names.insert(Arc::clone(&link.name)) {
                        found.links.all.push(link);
                        found.at.push(At {
                            file: index,
                            span: entry.span,
                        });
                    } else {
                        let message = format!("there is a policy, template or link `{}` already", link.name);
                        findings.error(entry.span, message, "delete this one, or give it another `id`");
                    }
                }
            }
            None => findings.error(file.data.span, "a links file is a list of links", EXAMPLE),
        }
        findings.finish(problems);
    }
    found
}

fn read_entry(
    entry: &Data,
    templates: &HashMap<&str, Slots>,
    uids: &Uids,
    findings: &mut Findings<'_>,
) -> Option<Link> {
    let mut good = true;
    let mut wrong = |span: (usize, usize), message: String, help: &str| {
        good = false;
        findings.error(span, message, help);
    };
    for (name, span, _) in entry.members() {
        if !MEMBERS.contains(&name.as_str()) {
            let help = match did_you_mean(name, MEMBERS) {
                help if help.is_empty() => {
                    "a link has `template`, `principal`, `resource` and `id`".to_owned()
                }
                help => help,
            };
            wrong(*span, format!("a link has no `{name}`"), &help);
        }
    }
    let mut text = |name: &str| {
        let data = entry.get(name)?;
        let text = data.text().filter(|text| !text.is_empty());
        if text.is_none() {
            wrong(data.span, format!("`{name}` is a text"), EXAMPLE);
        }
        Some((text?, data.span))
    };
    let (template, id, principal, resource) =
        (text("template"), text("id"), text("principal"), text("resource"));
    let Some((name, span)) = template else {
        if entry.get("template").is_none() {
            wrong(entry.span, "a link names its `template`".to_owned(), EXAMPLE);
        }
        return None;
    };
    let Some(slots) = templates.get(name) else {
        let mut known: Vec<&str> = templates.keys().copied().collect();
        known.sort_unstable();
        let help = match did_you_mean(name, known.iter().copied()) {
            _ if known.is_empty() => {
                "no policy file has a template: a policy with `?principal` or `?resource` in its scope"
                    .to_owned()
            }
            help if help.is_empty() => format!("templates are {}", known.join(", ")),
            help => help,
        };
        wrong(span, format!("there is no template `{name}`"), &help);
        return None;
    };
    let mut slot = |part: &str, wanted: bool, given: Option<(&str, (usize, usize))>| match (wanted, given) {
        (true, Some((text, span))) => match uids.find(text) {
            Ok(found) => Some(found),
            Err((message, help)) => {
                wrong(span, message, &help);
                None
            }
        },
        (true, None) => {
            if entry.get(part).is_none() {
                let message = format!("the template `{name}` has `?{part}`, and this link gives no `{part}`");
                wrong(entry.span, message, EXAMPLE);
            }
            None
        }
        (false, Some((_, span))) => {
            let message = format!("the template `{name}` has no `?{part}`");
            wrong(
                span,
                message,
                "leave it out, or write the template with this slot",
            );
            None
        }
        (false, None) => None,
    };
    let principal = slot("principal", slots.principal, principal);
    let resource = slot("resource", slots.resource, resource);
    let name: Arc<str> = match id {
        Some((id, span)) => {
            if id.starts_with(BUILT_IN) {
                let message =
                    format!("`{id}`: names that begin with `{BUILT_IN}` are those of built-in permits");
                wrong(span, message, "give it another `id`");
            }
            id.into()
        }
        None => {
            let mut parts = String::from(name);
            for filled in principal.iter().chain(&resource) {
                parts.push('#');
                uids.append(filled, &mut parts);
            }
            parts.into()
        }
    };
    good.then_some(Link {
        name,
        template: slots.number,
        principal,
        resource,
    })
}

/// What the validator can tell apart: template and types. Of types whose ids the schema lists, each id.
type Kind<'l> = (u32, Option<(u32, &'l str)>, Option<(u32, &'l str)>);

fn kind<'l>(filled: &'l Option<Filled>, listed: &[bool]) -> Option<(u32, &'l str)> {
    let filled = filled.as_ref()?;
    match listed.get(filled.kind as usize) {
        Some(true) => Some((filled.kind, &filled.id)),
        _ => Some((filled.kind, "")),
    }
}

/// Links that are right or wrong together: the place of the first, and how many they are.
type Alike = (usize, usize);

/// Validates links strictly. Links of one template whose slots have the same types are right or wrong together, so one of
/// each kind is validated, as the policy it stands for.
pub(super) fn validate(
    found: &Found,
    schema: &Schema,
    loaded: &Loaded,
    wrong: &HashSet<PolicyId>,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    let links = &found.links;
    let listed = listed_types(sources);
    let listed: Vec<bool> = links
        .kinds
        .iter()
        .map(|kind| listed.contains(&kind.to_string()))
        .collect();
    let wrong: Vec<bool> = links.templates.iter().map(|id| wrong.contains(id)).collect();
    let mut kinds: HashMap<Kind<'_>, Alike, RandomState> = HashMap::default();
    for (place, link) in links.all.iter().enumerate() {
        if wrong.get(link.template as usize) != Some(&true) {
            let kind = (
                link.template,
                kind(&link.principal, &listed),
                kind(&link.resource, &listed),
            );
            kinds.entry(kind).or_insert((place, 0)).1 += 1;
        }
    }
    let mut examples = PolicySet::new();
    let mut by_id: HashMap<PolicyId, (&Link, At, usize)> = HashMap::new();
    for (place, count) in kinds.into_values() {
        let (Some(link), Some(at)) = (links.all.get(place), found.at.get(place)) else {
            continue;
        };
        let id = PolicyId::new(&link.name);
        if let Some(policy) = written_out(link, links, loaded, &id)
            && examples.add(policy).is_ok()
        {
            by_id.insert(id, (link, *at, count));
        }
    }
    let result = Validator::new(schema.clone()).validate(&examples, ValidationMode::Strict);
    let mut said: HashMap<PolicyId, (String, String, bool)> = HashMap::new();
    for error in result.validation_errors() {
        for (message, help, _) in explained(error, schema) {
            said.entry(error.policy_id().clone())
                .or_insert((message, help, true));
        }
    }
    for warning in result
        .validation_warnings()
        .filter(|warning| never_applies(warning))
    {
        let id = warning.policy_id();
        let template = by_id
            .get(id)
            .and_then(|(link, ..)| loaded.templates.get(links.template(link)?));
        let Some(Known { effect, name, .. }) = template.map(|origin| &origin.known) else {
            continue;
        };
        let (serious, what, help) = match effect {
            Effect::Forbid => (true, "forbid", OPEN_DOOR),
            Effect::Permit => (false, "permit", "mend it or delete it"),
        };
        let message = format!(
            "with these slots the {what} `{name}` can never apply: no request of any route meets its conditions"
        );
        said.entry(id.clone())
            .or_insert((message, help.to_owned(), serious));
    }
    let mut findings: Vec<Findings<'_>> = sources.links.iter().map(Findings::new).collect();
    let mut said: Vec<_> = said
        .into_iter()
        .filter_map(|(id, said)| Some((*by_id.get(&id)?, said)))
        .collect();
    said.sort_by_key(|((_, at, _), _)| *at);
    for ((_, at, count), (message, help, serious)) in said {
        let message = match count - 1 {
            0 => message,
            more => format!("{message} (and {more} more like this one)"),
        };
        if let (Some(file), Some(findings)) = (sources.links.get(at.file), findings.get_mut(at.file)) {
            let problem = Problem::source(&file.name, at.span, message, help);
            findings.add(if serious { problem } else { problem.advice() }, at.span);
        }
    }
    findings
        .into_iter()
        .for_each(|findings| findings.finish(problems));
}

/// The policy that a link stands for, without slots.
fn written_out(link: &Link, links: &Links, loaded: &Loaded, id: &PolicyId) -> Option<Policy> {
    let mut set = PolicySet::new();
    let template = links.template(link)?;
    set.add_template(loaded.set.template(template)?.clone()).ok()?;
    set.link(template.clone(), id.clone(), links.slots(link)?).ok()?;
    let json = set.policy(id)?.to_json().ok()?;
    Policy::from_json(Some(id.clone()), json).ok()
}

/// The entity types whose ids the schema lists (`entity Tier enum ["gold"]`).
fn listed_types(sources: &Sources) -> HashSet<String> {
    let text: String = sources
        .schema
        .iter()
        .map(|file| format!("{}\n", file.text))
        .collect();
    let fragment = SchemaFragment::from_cedarschema_str(&text).ok();
    let json = fragment.and_then(|(fragment, _)| fragment.to_json_value().ok());
    let mut listed = HashSet::new();
    for (namespace, declared) in json
        .as_ref()
        .and_then(|json| json.as_object())
        .into_iter()
        .flatten()
    {
        let types = declared.get("entityTypes").and_then(|types| types.as_object());
        for (name, _) in types
            .into_iter()
            .flatten()
            .filter(|(_, kind)| kind.get("enum").is_some())
        {
            listed.insert(match namespace.as_str() {
                "" => name.clone(),
                namespace => format!("{namespace}::{name}"),
            });
        }
    }
    listed
}

impl Found {
    /// File and line of each.
    pub(super) fn places(&self, sources: &Sources) -> Vec<Option<(Arc<str>, usize)>> {
        let files = sources.links.iter();
        let mut files: Vec<(Arc<str>, Lines<'_>)> = files
            .map(|file| (file.name.as_str().into(), Lines::of(&file.text)))
            .collect();
        let place = |at: &At| {
            let (name, lines) = files.get_mut(at.file)?;
            Some((Arc::clone(name), lines.at(at.span.0)))
        };
        self.at.iter().map(place).collect()
    }
}

/// Says which templates nothing links.
pub(super) fn unused(links: &Links, loaded: &Loaded, sources: &Sources, problems: &mut Vec<Problem>) {
    let mut used = vec![false; links.templates.len()];
    for link in &links.all {
        if let Some(used) = used.get_mut(link.template as usize) {
            *used = true;
        }
    }
    for (id, _) in links.templates.iter().zip(used).filter(|(_, used)| !used) {
        let Some(origin) = loaded.templates.get(id) else {
            continue;
        };
        if let Some(file) = origin.file.and_then(|file| sources.policies.get(file)) {
            let message = format!(
                "`{}` is a template that no link uses, so it says nothing",
                origin.known.name
            );
            let help = "name a file with links in `policies.links`";
            problems.push(Problem::source(&file.name, origin.span, message, help).advice());
        }
    }
}
