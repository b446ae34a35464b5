//! `@id`, `@reason`, `@status` and `@set_header`: what may be written, and whether two permits contradict each other.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, PolicyId, PrincipalConstraint, ResourceConstraint, Schema};
use model::Actor;

use super::{Loaded, Origin, Sources};
use crate::identity_headers::{MAX_VALUE_BYTES, check_name};
use crate::policy::{Header, reason};
use crate::problem::{Problem, did_you_mean};
use crate::settings::Settings;
use crate::status::is_denial_status;

/// Annotations that mean something.
const ANNOTATIONS: [&str; 6] = ["id", "reason", "status", "set_header", "doc", "lint"];

/// Contradictions are shown up to this many.
const SHOWN: usize = 20;

/// What is written above a policy or a template.
pub(super) struct Annotated<'p> {
    pub(super) effect: Effect,
    all: Vec<(&'p str, &'p str)>,
}

impl<'p> Annotated<'p> {
    pub(super) fn new(effect: Effect, all: impl Iterator<Item = (&'p str, &'p str)>) -> Self {
        Self {
            effect,
            all: all.collect(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'p str> {
        let (_, value) = self.all.iter().find(|(key, _)| *key == name)?;
        Some(value)
    }
}

/// Checks what is written; the answer is what `@set_header` sets.
pub(super) fn check_annotations(
    annotated: &Annotated<'_>,
    name: &str,
    settings: &Settings,
    problem: &mut impl FnMut(String, &str),
) -> Arc<[Header]> {
    let mut headers = Vec::new();
    for (key, value) in &annotated.all {
        match *key {
            "status" | "reason" if annotated.effect == Effect::Permit => problem(
                format!("`{name}` is a permit: @{key} is for forbids"),
                "a request that nothing permits is answered by the route's `on_deny`",
            ),
            "status" if !value.parse().is_ok_and(is_denial_status) => problem(
                format!("`{name}`: @status(\"{value}\") is no status that a denial can have"),
                "use a 4xx that proxies know, such as 403 or 404",
            ),
            "reason" if let Err((message, help)) = reason::check(value) => {
                problem(format!("`{name}`: {message}"), help);
            }
            "set_header" if annotated.effect == Effect::Forbid => problem(
                format!("`{name}` is a forbid: @set_header is for permits"),
                "what is forbidden never reaches the upstream; `@reason` and `@status` are what the caller gets",
            ),
            "set_header" => headers = read_headers(value, name, settings, problem),
            key if !ANNOTATIONS.contains(&key) => {
                let help = did_you_mean(key, ANNOTATIONS);
                if !help.is_empty() {
                    problem(format!("`{name}`: nothing reads @{key}"), &help);
                }
            }
            _ => {}
        }
    }
    headers.into()
}

/// `name: value`, several on a line each.
fn read_headers(
    text: &str,
    policy: &str,
    settings: &Settings,
    problem: &mut impl FnMut(String, &str),
) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for line in text.split('\n') {
        let Some((name, value)) = line
            .split_once(':')
            .map(|(name, value)| (name.trim(), value.trim()))
        else {
            let message = format!("`{policy}`: @set_header has `{line}`, which is no header");
            problem(
                message,
                "write `name: value`, and several with \\n between them: `x-tier: gold\\nx-zone: eu`",
            );
            continue;
        };
        let visible = |b: u8| b == b' ' || b.is_ascii_graphic();
        if let Err((message, help)) = check_name(name) {
            problem(format!("`{policy}`: @set_header: {message}"), &help);
        } else if settings.identity_headers.contains_key(name) {
            let message = format!("`{policy}`: @set_header: `{name}` is in `identity_headers` already");
            problem(message, "one of the two must have another name");
        } else if headers.iter().any(|(known, _)| **known == *name) {
            problem(
                format!("`{policy}`: @set_header sets `{name}` twice"),
                "keep one of the two",
            );
        } else if value.is_empty() || value.len() > MAX_VALUE_BYTES || !value.bytes().all(visible) {
            let message = format!("`{policy}`: @set_header: the value of `{name}` is not visible ASCII");
            problem(
                message,
                "write other characters percent-encoded, and at least one character",
            );
        } else {
            headers.push((name.into(), value.into()));
        }
    }
    headers
}

/// A permit with headers, and which requests its scope and conditions can be about.
struct Setter<'l> {
    origin: &'l Origin,
    envs: HashSet<(String, String, String)>,
    principal: Option<EntityUid>,
    resource: Option<EntityUid>,
}

impl Setter<'_> {
    /// Whether one request could satisfy both. Who acts for somebody is asked about as well, in the same request.
    fn meets(&self, other: &Self) -> bool {
        let differ = |a: &Option<EntityUid>, b: &Option<EntityUid>| a.is_some() && b.is_some() && a != b;
        let same_person = !differ(&self.principal, &other.principal);
        if differ(&self.resource, &other.resource) {
            return false;
        }
        self.envs.iter().any(|(principal, action, resource)| {
            other
                .envs
                .iter()
                .any(|(other_principal, other_action, other_resource)| {
                    let delegated = (principal == Actor::TYPE) != (other_principal == Actor::TYPE);
                    action == other_action
                        && resource == other_resource
                        && (delegated
                            || (principal == other_principal && (same_person || principal == Actor::TYPE)))
                })
        })
    }
}

/// Two permits that give one header two values must never both apply.
pub(super) fn check_conflicts(
    schema: &Schema,
    loaded: &Loaded,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) {
    let mut setters = setters(schema, loaded);
    setters.sort_by_key(|setter| (setter.origin.file, setter.origin.span));
    let mut found = 0;
    for (index, setter) in setters.iter().enumerate() {
        let Some(file) = setter.origin.file.and_then(|file| sources.policies.get(file)) else {
            continue;
        };
        for other in setters.iter().take(index) {
            let clash = setter.origin.known.headers.iter().find(|(name, value)| {
                let theirs = other.origin.known.headers.iter();
                theirs
                    .into_iter()
                    .any(|(their, other)| their == name && other != value)
            });
            let Some((header, _)) = clash.filter(|_| setter.meets(other)) else {
                continue;
            };
            found += 1;
            if found > SHOWN {
                return;
            }
            let (name, other) = (&setter.origin.known.name, &other.origin.known.name);
            problems.push(Problem::source(
                &file.name,
                setter.origin.span,
                format!("`{name}` and `{other}` set `{header}` to different values, and one request could satisfy both"),
                "let them have different actions, or resources or principals of different types (`is`), or use two headers",
            ));
        }
    }
}

fn setters<'l>(schema: &Schema, loaded: &'l Loaded) -> Vec<Setter<'l>> {
    let kinds = |env: &cedar_policy::RequestEnv| {
        (
            env.principal().to_string(),
            env.action().to_string(),
            env.resource().to_string(),
        )
    };
    let mut setters = Vec::new();
    let with_headers = |origin: &&Origin| !origin.known.headers.is_empty();
    for origin in loaded.policies.values().filter(with_headers) {
        let Some(policy) = loaded.set.policy(&PolicyId::new(&origin.known.name)) else {
            continue;
        };
        setters.push(Setter {
            origin,
            envs: policy
                .get_valid_request_envs(schema)
                .map(|env| kinds(&env))
                .collect(),
            principal: match policy.principal_constraint() {
                PrincipalConstraint::Eq(uid) => Some(uid),
                _ => None,
            },
            resource: match policy.resource_constraint() {
                ResourceConstraint::Eq(uid) => Some(uid),
                _ => None,
            },
        });
    }
    for origin in loaded.templates.values().filter(with_headers) {
        let Some(template) = loaded.set.template(&PolicyId::new(&origin.known.name)) else {
            continue;
        };
        setters.push(Setter {
            origin,
            envs: template
                .get_valid_request_envs(schema)
                .map(|env| kinds(&env))
                .collect(),
            principal: None,
            resource: None,
        });
    }
    setters
}
