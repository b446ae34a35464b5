//! Entity files -> [`EntityData`], with every problem found on the way.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entities, Entity, EntityUid, PolicySet, Schema};
use model::{Actor, PrincipalKind};
use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use super::{EntityData, Kept, Reach, entities_in};
use crate::policy::engine::{Given, Whole};
use crate::policy::entities::cause_of;
use crate::policy::load::{Findings, error_in};
use crate::policy::uids::Uids;
use crate::policy::{Data, DataFile};
use crate::problem::{Problem, did_you_mean};

/// What an entity may have.
const MEMBERS: [&str; 4] = ["uid", "attrs", "parents", "tags"];
const EXAMPLE: &str =
    "for example `- {uid: {type: Group, id: main/staff}, parents: [{type: Group, id: main/all}]}`";
/// More ancestors than this are a mistake, and would cost too much.
const MAX_ANCESTORS: usize = 10_000;
/// As many entities are given to Cedar at once.
const AT_ONCE: usize = 500;

/// An entity as it is written.
struct Written<'f> {
    uid: EntityUid,
    parents: Vec<EntityUid>,
    data: &'f Data,
    file: usize,
}

/// Reads and validates everything.
pub(in crate::policy) fn load(
    files: &[DataFile],
    schema: &Schema,
    policies: &PolicySet,
    problems: &mut Vec<Problem>,
) -> EntityData {
    if files.is_empty() {
        return EntityData::default();
    }
    let mut findings: Vec<Findings<'_>> = files.iter().map(Findings::new).collect();
    let written = read(files, schema, &mut findings);
    let closed = close(&written, &mut findings);
    let entities = validated(&written, schema, &mut findings);
    let known: HashSet<&EntityUid> = written.iter().map(|entity| &entity.uid).collect();
    let mut kept = HashMap::with_capacity(written.len());
    for ((written, ancestors), entity) in written.iter().zip(closed).zip(entities) {
        let Some(entity) = entity else { continue };
        match keep(entity, ancestors, &known) {
            Ok(entity) => {
                kept.insert(written.uid.clone(), entity);
            }
            Err(message) => error_in(&mut findings, written.file, written.data.span, message, ""),
        }
    }
    findings
        .into_iter()
        .for_each(|findings| findings.finish(problems));
    EntityData {
        kept,
        reach: Reach::of(policies),
    }
}

/// What identity fills of principals.
pub(in crate::policy) fn filled(kind: &str) -> &'static [&'static str] {
    if kind == Actor::TYPE {
        &["issuer", "client"]
    } else if kind == PrincipalKind::Anonymous.as_str() {
        &[]
    } else if PrincipalKind::ALL
        .iter()
        .any(|principal| principal.as_str() == kind)
    {
        &["subject", "issuer", "name", "client"]
    } else {
        &[]
    }
}

fn is_principal(kind: &str) -> bool {
    kind == Actor::TYPE
        || PrincipalKind::ALL
            .iter()
            .any(|principal| principal.as_str() == kind)
}

fn read<'f>(files: &'f [DataFile], schema: &Schema, findings: &mut [Findings<'_>]) -> Vec<Written<'f>> {
    let uids = Uids::new(schema);
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for ((index, file), findings) in files.iter().enumerate().zip(findings) {
        let Some(entries) = file.data.list() else {
            findings.error(file.data.span, "a file of entities is a list of them", EXAMPLE);
            continue;
        };
        for data in entries {
            let Some(written) = read_entity(data, index, &uids, findings) else {
                continue;
            };
            if seen.insert(written.uid.clone()) {
                all.push(written);
            } else {
                let message = format!("`{}` is there twice", written.uid);
                findings.error(data.span, message, "say all of it in one place");
            }
        }
    }
    all
}

fn read_entity<'f>(
    data: &'f Data,
    file: usize,
    uids: &Uids,
    findings: &mut Findings<'_>,
) -> Option<Written<'f>> {
    for (name, span, _) in data.members() {
        if !MEMBERS.contains(&name.as_str()) {
            let help = match did_you_mean(name, MEMBERS) {
                help if help.is_empty() => "an entity has `uid`, `attrs`, `parents` and `tags`".to_owned(),
                help => help,
            };
            findings.error(*span, format!("an entity has no `{name}`"), help);
        }
    }
    let Some(uid) = data.get("uid") else {
        findings.error(data.span, "an entity has a `uid`", EXAMPLE);
        return None;
    };
    let uid = match uids.read_data(uid) {
        Ok(uid) => uid,
        Err((message, help)) => {
            findings.error(uid.span, message, help);
            return None;
        }
    };
    let kind = uid.type_name().to_string();
    let attributes = data.get("attrs").map_or(&[][..], Data::members);
    for (name, span, _) in attributes
        .iter()
        .filter(|(name, ..)| filled(&kind).contains(&name.as_str()))
    {
        let message = format!("identity fills `{name}` of every {kind}");
        findings.error(*span, message, "leave it out: it comes from the token");
    }
    if let Some((_, span, _)) = data
        .members()
        .iter()
        .find(|(name, ..)| name == "tags" && is_principal(&kind))
    {
        let message = format!("identity fills the tags of every {kind}: they are its roles");
        findings.error(
            *span,
            message,
            "put it into a group (`parents`), or use an attribute",
        );
    }
    let mut parents = Vec::new();
    if let Some(listed) = data.get("parents") {
        match listed.list() {
            Some(listed) => {
                for parent in listed {
                    match uids.read_data(parent) {
                        Ok(uid) => parents.push(uid),
                        Err((message, help)) => findings.error(parent.span, message, help),
                    }
                }
            }
            None => findings.error(listed.span, "`parents` is a list of entities", EXAMPLE),
        }
    }
    Some(Written {
        uid,
        parents,
        data,
        file,
    })
}

/// All ancestors of each.
fn close(written: &[Written<'_>], findings: &mut [Findings<'_>]) -> Vec<Vec<EntityUid>> {
    let index: HashMap<&EntityUid, usize> = written.iter().enumerate().map(|(i, w)| (&w.uid, i)).collect();
    let mut closed: Vec<Option<Vec<EntityUid>>> = written.iter().map(|_| None).collect();
    for start in 0..written.len() {
        // A path from `start` to where we are, each with the number of its parents that are done.
        let mut path = vec![(start, 0)];
        let mut on_path = HashSet::from([start]);
        while let Some((here, done)) = path.pop() {
            let Some(entity) = written
                .get(here)
                .filter(|_| matches!(closed.get(here), Some(None)))
            else {
                on_path.remove(&here);
                continue;
            };
            if let Some(parent) = entity.parents.get(done) {
                path.push((here, done + 1));
                match index.get(parent) {
                    Some(parent) if on_path.contains(parent) => {
                        let message = format!(
                            "`{}` is in itself, by way of `{}`",
                            entity.uid,
                            entity.uid_of(parent, written)
                        );
                        error_in(
                            findings,
                            entity.file,
                            entity.data.span,
                            message,
                            "take one of the parents out",
                        );
                    }
                    Some(&parent) if matches!(closed.get(parent), Some(None)) => {
                        on_path.insert(parent);
                        path.push((parent, 0));
                    }
                    _ => {}
                }
                continue;
            }
            let mut ancestors: HashSet<EntityUid> = entity.parents.iter().cloned().collect();
            for parent in &entity.parents {
                let theirs = index.get(parent).and_then(|parent| closed.get(*parent)?.as_ref());
                ancestors.extend(theirs.into_iter().flatten().cloned());
            }
            if ancestors.len() > MAX_ANCESTORS {
                let message = format!("`{}` is in more than {MAX_ANCESTORS} entities", entity.uid);
                error_in(
                    findings,
                    entity.file,
                    entity.data.span,
                    message,
                    "flatten the groups",
                );
                ancestors.clear();
            }
            if let Some(place) = closed.get_mut(here) {
                *place = Some(ancestors.into_iter().collect());
            }
            on_path.remove(&here);
        }
    }
    closed.into_iter().map(Option::unwrap_or_default).collect()
}

impl Written<'_> {
    fn uid_of(&self, index: &usize, all: &[Written<'_>]) -> String {
        all.get(*index).unwrap_or(self).uid.to_string()
    }

    /// As Cedar reads it, with examples of what identity fills.
    fn json(&self) -> Value {
        let kind = self.uid.type_name().to_string();
        let uid =
            |uid: &EntityUid| json!({ "type": uid.type_name().to_string(), "id": uid.id().unescaped() });
        let mut entity = Map::new();
        entity.insert("uid".to_owned(), uid(&self.uid));
        let mut attributes = self.data.get("attrs").map_or_else(|| json!({}), Data::to_json);
        if let Some(attributes) = attributes.as_object_mut() {
            for name in filled(&kind) {
                attributes.insert((*name).to_owned(), "example".into());
            }
        }
        entity.insert("attrs".to_owned(), attributes);
        entity.insert("parents".to_owned(), self.parents.iter().map(uid).collect());
        if let Some(tags) = self.data.get("tags") {
            entity.insert("tags".to_owned(), tags.to_json());
        }
        Value::Object(entity)
    }
}

/// Each entity as the schema has it, on as many threads as there are cores.
fn validated(written: &[Written<'_>], schema: &Schema, findings: &mut [Findings<'_>]) -> Vec<Option<Entity>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = written.len().div_ceil(threads).max(1);
    let results: Vec<Result<Entity, String>> = std::thread::scope(|scope| {
        let work = written.chunks(share).map(|share| {
            scope.spawn(move || {
                share
                    .chunks(AT_ONCE)
                    .flat_map(|some| check(some, schema))
                    .collect::<Vec<_>>()
            })
        });
        let work: Vec<_> = work.collect();
        let done = work.into_iter().map(std::thread::ScopedJoinHandle::join);
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut entities = Vec::with_capacity(written.len());
    for (written, result) in written.iter().zip(results) {
        entities.push(match result {
            Ok(entity) => Some(entity),
            Err(message) => {
                let named = |name: &str| message.contains(&format!("`{name}`"));
                let parts = ["attrs", "tags"]
                    .into_iter()
                    .filter_map(|part| written.data.get(part));
                let mut members = parts.flat_map(Data::members);
                let span = members.find(|(name, ..)| named(name)).map(|(_, span, _)| *span);
                let help = "the schema file says what each type has, and what it can be in";
                error_in(
                    findings,
                    written.file,
                    span.unwrap_or(written.data.span),
                    message,
                    help,
                );
                None
            }
        });
    }
    entities
}

/// Checks some at once, and only if something is wrong with them one by one.
fn check(some: &[Written<'_>], schema: &Schema) -> Vec<Result<Entity, String>> {
    let all: Value = some.iter().map(Written::json).collect();
    if let Ok(entities) = Entities::from_json_value(all, Some(schema)) {
        let found: Option<Vec<_>> = some
            .iter()
            .map(|written| entities.get(&written.uid).cloned().map(Ok))
            .collect();
        if let Some(found) = found {
            return found;
        }
    }
    let each = some.iter().map(|written| {
        Entity::from_json_value(written.json(), Some(schema)).map_err(|error| cause_of(&error))
    });
    each.collect()
}

/// Takes an entity apart, so that more can be added to it; without the examples.
fn keep(entity: Entity, ancestors: Vec<EntityUid>, known: &HashSet<&EntityUid>) -> Result<Kept, String> {
    let mut refers = Vec::new();
    for (_, value) in entity.attrs().chain(entity.tags()) {
        entities_in(&value.map_err(|error| error.to_string())?, &mut refers);
    }
    refers.retain(|uid| known.contains(uid));
    refers.sort_unstable();
    refers.dedup();
    let uid = entity.uid();
    let filled = filled(&uid.type_name().to_string());
    let whole = Whole::from(entity);
    let attributes = whole.attributes().filter(|(name, _)| !filled.contains(name));
    let attributes: Vec<(SmolStr, Given)> = attributes.map(|(name, value)| (name.into(), value)).collect();
    let given = attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    let entity = Whole::new(&uid, given, ancestors.iter().cloned(), whole.tags());
    Ok(Kept {
        entity,
        attributes,
        ancestors,
        refers,
    })
}
