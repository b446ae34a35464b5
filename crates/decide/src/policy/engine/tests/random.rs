//! Random policies, entities and questions, from few names, so that much of it meets.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use cedar_policy::{
    Context, Entities, Entity, EntityUid, PolicyId, PolicySet, RestrictedExpression, SlotId, Template,
};

use super::super::{Filled, Link, Links};
use super::Case;

/// A small generator of numbers (xorshift), the same for the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(super) fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    fn uid(&mut self, names: &[&str]) -> EntityUid {
        let index = self.below(names.len());
        uid(names[index])
    }
}

const USERS: [&str; 4] = ["User::\"a\"", "User::\"b\"", "Robot::\"a\"", "Robot::\"r\""];
const GROUPS: [&str; 5] = [
    "Group::\"a\"",
    "Group::\"b\"",
    "Group::\"c\"",
    "Org::\"a\"",
    "Org::\"b\"",
];
const RESOURCES: [&str; 6] = [
    "Path::\"x\"",
    "Path::\"y\"",
    "Workspace::\"w\"",
    "Workspace::\"v\"",
    "Group::\"a\"",
    "User::\"a\"",
];
const ACTIONS: [&str; 6] = [
    "Action::\"GET\"",
    "Action::\"HEAD\"",
    "Action::\"PUT\"",
    "Action::\"read\"",
    "Action::\"write\"",
    "Action::\"unknown\"",
];
const KINDS: [&str; 6] = ["User", "Robot", "Group", "Org", "Path", "Workspace"];
/// Some are true, some false, and some fail: attributes that are not there, wrong types, numbers that are too large.
const CONDITIONS: [&str; 36] = [
    "when { true }",
    "unless { true }",
    "when { context.n == 1 }",
    "when { context has m && context.m }",
    "unless { context.n > 1 }",
    "when { principal.n == resource.n }",
    "when { principal has n && principal.n < 2 }",
    "when { resource.owner == principal }",
    "when { principal in resource.owner }",
    "when { resource in Workspace::\"w\" || principal in Org::\"a\" }",
    "when { resource.owner.n == 1 }",
    "when { resource.owner in Org::\"a\" }",
    "when { principal.hasTag(\"t\") && principal.getTag(\"t\") == 1 }",
    "when { principal.n + 9223372036854775807 > 0 }",
    "when { context.who.n == 1 } unless { resource is Path }",
    "when { Group::\"a\".n == 1 }",
    "when { Group::\"a\" in Org::\"b\" }",
    "when { action in [Action::\"read\", Action::\"PUT\"] && context.n }",
    "when { principal.many.contains(\"a\") }",
    "when { resource has many && principal has many && principal.many == resource.many }",
    "unless { principal.many.contains(resource.owner) || resource.many.contains(principal) }",
    "when { principal.many.contains(resource.many) }",
    "when { [\"a\", \"b\", \"c\"].contains(resource.text) }",
    "when { [User::\"a\", Group::\"a\"].contains(principal) && !(principal is Robot) }",
    "when { resource has text && principal.hasTag(resource.text) && principal.getTag(resource.text).contains(\"b\") }",
    "when { principal.hasTag(principal.text) }",
    "when { principal.getTag(\"a\") == principal.getTag(\"t\") }",
    "when { resource.hasTag(\"t\") && resource.getTag(\"t\") <= principal.n }",
    "when { principal == resource || context has who && context.who == principal }",
    "when { context.m && principal.text == \"a\" }",
    "unless { resource.text < 2 }",
    "when { principal is Robot in Org::\"a\" && 1 < principal.n }",
    "when { principal.many.containsAny([\"b\", \"x3\"]) }",
    "when { principal has many && resource has many && principal.many.containsAll(resource.many) }",
    "unless { principal.text.containsAny([\"a\"]) || resource.many.containsAll([]) }",
    "when { principal.hasTag(\"a\") && principal.getTag(\"a\").containsAny(resource.many) }",
];

/// A set of policies, and what there is.
pub(super) struct World {
    /// All of it, linked by Cedar.
    pub(super) set: PolicySet,
    /// The same without links.
    pub(super) written: PolicySet,
    linked: Vec<(String, PolicyId, HashMap<SlotId, EntityUid>)>,
    pub(super) text: String,
    pub(super) actions: Entities,
    /// Entities that are there for every question.
    data: Vec<Entity>,
}

fn uid(text: &str) -> EntityUid {
    text.parse().unwrap()
}

/// The place of one in a list, to which it is added if it is not there yet.
fn number_of<T: Clone + PartialEq>(one: &T, all: &mut Vec<T>) -> u32 {
    let place = all.iter().position(|known| known == one).unwrap_or_else(|| {
        all.push(one.clone());
        all.len() - 1
    });
    u32::try_from(place).unwrap()
}

fn number(value: usize) -> RestrictedExpression {
    RestrictedExpression::new_long(value as i64)
}

/// A restriction of a scope; with a slot, if `slot` is one.
fn scope(random: &mut Random, variable: &str, names: &[&str], slot: Option<&str>) -> String {
    let name = match slot {
        Some(slot) if random.below(3) > 0 => slot,
        _ => random.of(names),
    };
    let kind = random.of(&KINDS);
    match random.below(6) {
        0 | 1 => variable.to_owned(),
        2 => format!("{variable} == {name}"),
        3 => format!("{variable} in {name}"),
        4 => format!("{variable} is {kind}"),
        _ => format!("{variable} is {kind} in {name}"),
    }
}

fn policy(random: &mut Random, slots: bool) -> String {
    let effect = *random.of(&["permit", "permit", "forbid"]);
    let above: Vec<&str> = USERS.iter().chain(&GROUPS).copied().collect();
    let below: Vec<&str> = RESOURCES.iter().chain(&GROUPS).copied().collect();
    let principal = scope(random, "principal", &above, slots.then_some("?principal"));
    let resource = scope(random, "resource", &below, slots.then_some("?resource"));
    let action = match random.below(5) {
        0 | 1 => "action".to_owned(),
        2 => format!("action == {}", random.of(&ACTIONS)),
        3 => format!("action in {}", random.of(&ACTIONS)),
        _ => format!("action in [{}, {}]", random.of(&ACTIONS), random.of(&ACTIONS)),
    };
    let condition = match random.below(2) {
        0 => "",
        _ => *random.of(&CONDITIONS),
    };
    format!("{effect} ({principal}, {action}, {resource}) {condition};")
}

impl World {
    pub(super) fn new(random: &mut Random) -> Self {
        let count = 1 + random.below(24);
        let mut text = String::new();
        for index in 0..count {
            let _ = writeln!(text, "@id(\"p{index}\") {}", policy(random, false));
        }
        let mut set: PolicySet = text.parse().unwrap();
        let mut written = set.clone();
        let mut linked = Vec::new();
        let above: Vec<&str> = USERS.iter().chain(&GROUPS).copied().collect();
        let below: Vec<&str> = RESOURCES.iter().chain(&GROUPS).copied().collect();
        for index in 0..random.below(8) {
            let source = policy(random, true);
            let id = PolicyId::new(format!("template{index}"));
            // Without slots it is a policy; there are enough of those.
            let Ok(template) = Template::parse(Some(id.clone()), &source) else {
                continue;
            };
            let slots: Vec<SlotId> = template.slots().cloned().collect();
            if slots.is_empty() {
                continue;
            }
            set.add_template(template.clone()).unwrap();
            written.add_template(template).unwrap();
            let _ = writeln!(text, "{source}");
            for link in 0..random.below(5) {
                let values: HashMap<SlotId, EntityUid> = slots
                    .iter()
                    .map(|slot| {
                        let principal = *slot == SlotId::principal();
                        let names = if principal { &above } else { &below };
                        (slot.clone(), random.uid(names))
                    })
                    .collect();
                let _ = writeln!(text, "// link {index}.{link}: {values:?}");
                let name = format!("link{index}.{link}");
                set.link(id.clone(), PolicyId::new(&name), values.clone())
                    .unwrap();
                linked.push((name, id.clone(), values));
            }
        }
        let mut data = Vec::new();
        if random.one_in(2) {
            // Only later names are above earlier ones, so nothing is in itself.
            let all: Vec<&str> = ["User::\"b\"", "Path::\"y\""].into_iter().chain(GROUPS).collect();
            for (index, name) in all.iter().enumerate() {
                if random.one_in(2) {
                    data.push(entity(random, uid(name), &all[index + 1..]));
                }
            }
        }
        Self {
            set,
            written,
            linked,
            text,
            actions: actions(),
            data,
        }
    }

    /// Its links as the engine takes them.
    pub(super) fn links(&self) -> Links {
        let mut links = Links::default();
        for (name, template, values) in &self.linked {
            let mut filled = |slot: SlotId| {
                let uid = values.get(&slot)?;
                Some(Filled {
                    kind: number_of(uid.type_name(), &mut links.kinds),
                    id: uid.id().unescaped().into(),
                })
            };
            let (principal, resource) = (filled(SlotId::principal()), filled(SlotId::resource()));
            links.all.push(Link {
                name: name.as_str().into(),
                template: number_of(template, &mut links.templates),
                principal,
                resource,
            });
        }
        links
    }

    /// Somebody who asks.
    pub(super) fn principal(&self, random: &mut Random) -> Entity {
        let name = random.uid(&USERS);
        self.party(random, name, &GROUPS)
    }

    pub(super) fn case(&self, random: &mut Random, principal: Entity) -> Case {
        let resource = random.uid(&RESOURCES);
        let above = if random.one_in(20) {
            // What may lead to contradictions: somebody in somebody who is in them.
            USERS.iter().chain(&GROUPS).copied().collect()
        } else {
            let mut above = vec!["Workspace::\"w\"", "Workspace::\"u\""];
            above.extend_from_slice(&GROUPS[3..]);
            above
        };
        let resource = self.party(random, resource, &above);
        let asked = [principal.uid(), resource.uid()];
        let data = self.data.iter().filter(|entity| !asked.contains(&entity.uid()));
        let mut others: Vec<Entity> = data.cloned().collect();
        if random.one_in(3) {
            others.push(self.party(random, uid("Actor::\"c\""), &GROUPS));
        }
        let mut context = Vec::new();
        if !random.one_in(4) {
            context.push(("n".to_owned(), number(random.below(3))));
        }
        if random.one_in(2) {
            context.push(("m".to_owned(), RestrictedExpression::new_bool(random.one_in(2))));
        }
        if random.one_in(2) {
            let who = random.of(&["Actor::\"c\"", "Group::\"b\""]);
            context.push(("who".to_owned(), RestrictedExpression::new_entity_uid(uid(who))));
        }
        Case {
            principal,
            action: random.uid(&ACTIONS),
            resource,
            others,
            context: Context::from_pairs(context).unwrap(),
        }
    }

    /// An entity of a question; it has the parents that the data give it.
    fn party(&self, random: &mut Random, name: EntityUid, above: &[&str]) -> Entity {
        let entity = entity(random, name.clone(), above);
        let Some(data) = self.data.iter().find(|data| data.uid() == name) else {
            return entity;
        };
        let (name, attributes, mut parents) = entity.into_inner();
        parents.extend(data.clone().into_inner().2);
        Entity::new(name, attributes, parents).unwrap()
    }
}

fn entity(random: &mut Random, name: EntityUid, above: &[&str]) -> Entity {
    let mut attributes = HashMap::new();
    if random.below(4) > 0 {
        attributes.insert("n".to_owned(), number(random.below(3)));
    }
    if random.one_in(2) {
        let owner = random.of(&["User::\"a\"", "User::\"b\"", "Group::\"a\"", "Group::\"b\""]);
        let owner = RestrictedExpression::new_entity_uid(uid(owner));
        attributes.insert("owner".to_owned(), owner);
    }
    if random.one_in(2) {
        attributes.insert("many".to_owned(), many(random));
    }
    if random.one_in(2) {
        let text = match random.below(6) {
            0 => number(1),
            other => RestrictedExpression::new_string(["a", "b", "t"][other % 3].to_owned()),
        };
        attributes.insert("text".to_owned(), text);
    }
    let mut parents = HashSet::new();
    for _ in 0..random.below(3) {
        if !above.is_empty() {
            parents.insert(random.uid(above));
        }
    }
    parents.remove(&name);
    let mut tags = Vec::new();
    if random.one_in(2) {
        tags.push(("t".to_owned(), number(random.below(2))));
    }
    if random.one_in(2) {
        tags.push(("a".to_owned(), many(random)));
    }
    Entity::new_with_tags(name, attributes, parents, tags).unwrap()
}

/// A set: small or large, of texts, of entities, or of this and that.
fn many(random: &mut Random) -> RestrictedExpression {
    let text = |text: String| RestrictedExpression::new_string(text);
    let mut all: Vec<RestrictedExpression> = (0..random.below(3))
        .map(|n| text(["a", "b"][n].to_owned()))
        .collect();
    match random.below(6) {
        0 => all.extend((0..12).map(|n| text(format!("x{n}")))),
        1 => all.push(RestrictedExpression::new_entity_uid(random.uid(&USERS))),
        2 => all.push(number(random.below(2))),
        3 => all.push(RestrictedExpression::new_set([number(1)])),
        _ => {}
    }
    RestrictedExpression::new_set(all)
}

/// GET and HEAD are reads, PUT is a write, and nobody declares `unknown`.
fn actions() -> Entities {
    let of = |name: &str, parents: &[&str]| {
        let parents = parents.iter().map(|parent| uid(parent)).collect();
        Entity::new(uid(name), HashMap::new(), parents).unwrap()
    };
    let actions = [
        of(ACTIONS[0], &[ACTIONS[3]]),
        of(ACTIONS[1], &[ACTIONS[3]]),
        of(ACTIONS[2], &[ACTIONS[4]]),
        of(ACTIONS[3], &[]),
        of(ACTIONS[4], &[]),
    ];
    Entities::from_entities(actions, None).unwrap()
}
