//! Links: grants as data. Each entry of a links file makes a policy of a template.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Effect, EntityUid, Policy, PolicyId, PolicySet, Schema, SchemaFragment, SlotId, ValidationMode, Validator,
};

use super::validate::{OPEN_DOOR, explained, never_applies};
use super::{BUILT_IN, Findings, Lines, Loaded, Origin, Sources};
use crate::policy::uids::{Uids, append_uid};
use crate::policy::{Data, DataFile, Known};
use crate::problem::{Problem, did_you_mean};

/// What a link may say.
const MEMBERS: [&str; 4] = ["template", "id", "principal", "resource"];

const EXAMPLE: &str =
    "for example `{template: member, principal: 'User::\"main/a\"', resource: 'Page::\"x\"'}`";

/// A link that is well-formed.
pub(super) struct Link {
    template: PolicyId,
    name: Arc<str>,
    principal: Option<EntityUid>,
    resource: Option<EntityUid>,
    file: usize,
    span: (usize, usize),
}

impl Link {
    fn slots(&self) -> HashMap<SlotId, EntityUid> {
        let principal = self.principal.clone().map(|uid| (SlotId::principal(), uid));
        let resource = self.resource.clone().map(|uid| (SlotId::resource(), uid));
        principal.into_iter().chain(resource).collect()
    }
}

/// A template as links need it.
struct Slots<'l> {
    id: &'l PolicyId,
    principal: bool,
    resource: bool,
}

/// Reads the links of all files; what is wrong with some does not keep the others from being looked at.
pub(super) fn read(
    files: &[DataFile],
    schema: &Schema,
    loaded: &Loaded,
    problems: &mut Vec<Problem>,
) -> Vec<Link> {
    let uids = Uids::new(schema);
    let templates: HashMap<&str, Slots<'_>> = loaded
        .set
        .templates()
        .filter_map(|template| {
            let (id, origin) = loaded.templates.get_key_value(template.id())?;
            let has = |slot: SlotId| template.slots().any(|found| *found == slot);
            let slots = Slots {
                id,
                principal: has(SlotId::principal()),
                resource: has(SlotId::resource()),
            };
            Some((&*origin.known.name, slots))
        })
        .collect();
    let mut links = Vec::new();
    let taken = loaded.policies.values().chain(loaded.templates.values());
    let mut names: HashSet<Arc<str>> = taken.map(|origin| Arc::clone(&origin.known.name)).collect();
    for (index, file) in files.iter().enumerate() {
        let mut findings = Findings::new(file);
        match file.data.list() {
            Some(entries) => {
                for entry in entries {
                    if let Some(mut link) = read_entry(entry, &templates, &uids, &mut findings) {
                        link.file = index;
                        if names.insert(Arc::clone(&link.name)) {
                            links.push(link);
                        } else {
                            let message =
                                format!("there is a policy, template or link `{}` already", link.name);
                            findings.error(entry.span, message, "delete this one, or give it another `id`");
                        }
                    }
                }
            }
            None => findings.error(file.data.span, "a links file is a list of links", EXAMPLE),
        }
        findings.finish(problems);
    }
    links
}

fn read_entry(
    entry: &Data,
    templates: &HashMap<&str, Slots<'_>>,
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
        (true, Some((text, span))) => match uids.read(text) {
            Ok(uid) => Some(uid),
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
            for uid in principal.iter().chain(&resource) {
                parts.push('#');
                append_uid(uid, &mut parts);
            }
            parts.into()
        }
    };
    good.then(|| Link {
        template: slots.id.clone(),
        name,
        principal,
        resource,
        file: 0,
        span: entry.span,
    })
}

/// What the validator can tell apart: template and types. Of types whose ids the schema lists, each id.
#[derive(PartialEq, Eq, Hash)]
struct Kind<'l>(&'l PolicyId, Option<String>, Option<String>);

/// Validates links strictly. Links of one template whose slots have the same types are right or wrong together, so one of
/// each kind is validated, as the policy it stands for.
pub(super) fn validate(
    links: &[Link],
    schema: &Schema,
    loaded: &Loaded,
    wrong: &HashSet<PolicyId>,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    let listed = listed_types(sources);
    let kind_of = |uid: &Option<EntityUid>| {
        uid.as_ref().map(|uid| {
            let kind = uid.type_name().to_string();
            if listed.contains(&kind) {
                uid.to_string()
            } else {
                kind
            }
        })
    };
    let mut kinds: HashMap<Kind<'_>, Vec<&Link>> = HashMap::new();
    for link in links.iter().filter(|link| !wrong.contains(&link.template)) {
        let kind = Kind(&link.template, kind_of(&link.principal), kind_of(&link.resource));
        kinds.entry(kind).or_default().push(link);
    }
    let mut examples = PolicySet::new();
    let mut by_id: HashMap<PolicyId, &Vec<&Link>> = HashMap::new();
    for alike in kinds.values() {
        let Some(link) = alike.first() else { continue };
        let id = PolicyId::new(&link.name);
        if let Some(policy) = written_out(link, loaded, &id)
            && examples.add(policy).is_ok()
        {
            by_id.insert(id, alike);
        }
    }
    let result = Validator::new(schema.clone()).validate(&examples, ValidationMode::Strict);
    let mut found: HashMap<PolicyId, (String, String, bool)> = HashMap::new();
    for error in result.validation_errors() {
        for (message, help, _) in explained(error, schema) {
            found
                .entry(error.policy_id().clone())
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
            .and_then(|alike| loaded.templates.get(&alike.first()?.template));
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
        found
            .entry(id.clone())
            .or_insert((message, help.to_owned(), serious));
    }
    let mut findings: Vec<Findings<'_>> = sources.links.iter().map(Findings::new).collect();
    let mut found: Vec<_> = found
        .into_iter()
        .filter_map(|(id, said)| Some((*by_id.get(&id)?, said)))
        .collect();
    found.sort_by_key(|(alike, _)| alike.first().map(|link| (link.file, link.span)));
    for (alike, (message, help, serious)) in found {
        let Some(first) = alike.first() else { continue };
        let message = match alike.len() - 1 {
            0 => message,
            more => format!("{message} (and {more} more like this one)"),
        };
        if let (Some(file), Some(findings)) = (sources.links.get(first.file), findings.get_mut(first.file)) {
            let problem = Problem::source(&file.name, first.span, message, help);
            findings.add(if serious { problem } else { problem.advice() }, first.span);
        }
    }
    findings
        .into_iter()
        .for_each(|findings| findings.finish(problems));
}

/// The policy that a link stands for, without slots.
fn written_out(link: &Link, loaded: &Loaded, id: &PolicyId) -> Option<Policy> {
    let mut set = PolicySet::new();
    set.add_template(loaded.set.template(&link.template)?.clone())
        .ok()?;
    set.link(link.template.clone(), id.clone(), link.slots()).ok()?;
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

/// Links all of them; the answer is which templates were linked.
pub(super) fn link(
    links: Vec<Link>,
    loaded: &mut Loaded,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> HashSet<PolicyId> {
    let mut used: HashSet<PolicyId> = HashSet::new();
    let names: Vec<Arc<str>> = sources
        .links
        .iter()
        .map(|file| file.name.as_str().into())
        .collect();
    let mut lines: Vec<Lines<'_>> = sources.links.iter().map(|file| Lines::of(&file.text)).collect();
    for link in links {
        let id = PolicyId::new(&link.name);
        let linked = loaded.set.link(link.template.clone(), id.clone(), link.slots());
        let file = sources.links.get(link.file);
        if let (Err(error), Some(file)) = (linked, file) {
            problems.push(Problem::source(&file.name, link.span, error.to_string(), ""));
        }
        let Some(template) = loaded.templates.get(&link.template) else {
            continue;
        };
        let origin = Origin {
            known: Known {
                name: link.name,
                place: names
                    .get(link.file)
                    .cloned()
                    .zip(lines.get_mut(link.file).map(|lines| lines.at(link.span.0))),
                ..template.known.clone()
            },
            file: template.file,
            span: template.span,
        };
        loaded.policies.insert(id, origin);
        if !used.contains(&link.template) {
            used.insert(link.template);
        }
    }
    used
}

/// Says which templates nothing links.
pub(super) fn unused(
    used: &HashSet<PolicyId>,
    loaded: &Loaded,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    for (id, origin) in &loaded.templates {
        let file = origin.file.and_then(|file| sources.policies.get(file));
        if let Some(file) = file.filter(|_| !used.contains(id)) {
            let message = format!(
                "`{}` is a template that no link uses, so it says nothing",
                origin.known.name
            );
            let help = "name a file with links in `policies.links`";
            problems.push(Problem::source(&file.name, origin.span, message, help).advice());
        }
    }
}
