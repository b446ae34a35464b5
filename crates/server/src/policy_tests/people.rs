//! The principals of a suite: by attributes as they are written, by claims as the issuer's profile makes them.

use std::time::SystemTime;

use decide::identity::Rehearsal;
use decide::problem::{Problem, did_you_mean};
use model::{Actor, Principal, PrincipalKind};

use super::question::Asker;
use super::suite::Person;

/// What to say to whoever mixes the two ways.
const EITHER: &str = "either attributes (`user`, `robot` or `client`, with `name`, `groups`, `roles`, `scopes`, …), or `issuer` \
                      and `claims` (with `header`)";

/// The names with which ids of principals begin, and the issuers that read claims.
pub(super) struct Known<'k> {
    pub(super) names: Vec<&'k str>,
    pub(super) issuers: &'k Rehearsal,
}

/// Makes the principal that is written at `pointer`; `None` if something is wrong with it.
pub(super) fn asker(
    person: &Person,
    pointer: &str,
    now: SystemTime,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Asker> {
    let mut wrong = |part: &str, message: String, help: String| {
        problems.push(Problem::setting(format!("{pointer}{part}"), message, help));
        None
    };
    let by_claims = person.claims.is_some() || person.issuer.is_some() || person.header.is_some();
    let by_attributes = [&person.user, &person.robot, &person.client];
    let by_attributes = by_attributes.iter().any(|id| id.is_some());
    if by_claims {
        let attributes = by_attributes
            || person.name.is_some()
            || !person.roles.is_empty()
            || ![&person.groups, &person.scopes, &person.audiences, &person.actors]
                .iter()
                .all(|list| list.is_empty());
        if attributes {
            return wrong(
                "",
                "this is somebody by attributes and by claims at once".to_owned(),
                EITHER.to_owned(),
            );
        }
        let (Some(issuer), Some(claims)) = (&person.issuer, &person.claims) else {
            let missing = if person.issuer.is_none() {
                "issuer"
            } else {
                "claims"
            };
            return wrong("", format!("`{missing}` is missing"), EITHER.to_owned());
        };
        let issuers = known.issuers.issuers();
        if !issuers.contains(&issuer.as_str()) {
            let message = format!("no issuer of JWTs is called `{issuer}`");
            return wrong("/issuer", message, or_known(issuer, &issuers));
        }
        let header = person.header.clone().unwrap_or_default();
        return Some(known.issuers.principal(issuer, &header, claims, now));
    }
    let (kind, part, id) = match (&person.user, &person.robot, &person.client) {
        (Some(id), None, _) => (PrincipalKind::User, "/user", id),
        (None, Some(id), _) => (PrincipalKind::Robot, "/robot", id),
        (None, None, Some(id)) => (PrincipalKind::Client, "/client", id),
        (Some(_), Some(_), _) => {
            return wrong(
                "",
                "somebody is a `user` or a `robot`, not both".to_owned(),
                String::new(),
            );
        }
        (None, None, None) => return wrong("", "this is nobody".to_owned(), EITHER.to_owned()),
    };
    let Some((issuer, subject)) = id.split_once('/').filter(|(_, subject)| !subject.is_empty()) else {
        return wrong(
            part,
            format!("`{id}` is no id of a principal"),
            format!(
                "ids begin with the short name of an issuer, such as `{}/{id}`",
                known.names.first().unwrap_or(&"main")
            ),
        );
    };
    if !known.names.contains(&issuer) {
        let message =
            format!("no principal has an id that begins with `{issuer}/`: nobody of that name is configured");
        return wrong(part, message, or_known(issuer, &known.names));
    }
    if kind == PrincipalKind::Client && !(person.groups.is_empty() && person.roles.is_empty()) {
        return wrong(
            "",
            "a client acting for itself belongs to no group and holds no roles".to_owned(),
            "a non-human account that does is a `robot`".to_owned(),
        );
    }
    Some(Ok(Principal {
        name: person.name.clone(),
        client: match kind {
            PrincipalKind::Client => Some(subject.to_owned()),
            _ => person.client.clone(),
        },
        groups: person.groups.clone(),
        roles: person.roles.clone().into_iter().collect(),
        scopes: person.scopes.clone(),
        audiences: person.audiences.clone(),
        actors: person
            .actors
            .iter()
            .map(|client| Actor::new(issuer, client))
            .collect(),
        ..Principal::new(kind, issuer, subject)
    }))
}

/// "did you mean", or all there are.
pub(super) fn or_known(word: &str, known: &[&str]) -> String {
    match did_you_mean(word, known.iter().copied()) {
        help if help.is_empty() && known.is_empty() => "there is none".to_owned(),
        help if help.is_empty() => format!("known are {}", known.join(", ")),
        help => help,
    }
}
