//! What Magpie would say to a request, as policies, logs and explanations see it.

use std::fmt::Write as _;

use super::request::{Need, Reach, Unclear, needs};
use super::resolve::{Effective, Reason, resolve};
use super::tree::{Access, Asker, Priority, Service, Subject, Tree};
use super::{Asked, Declined};
use crate::explain;
use crate::policy;
use crate::policy::engine::Given;

/// The answer to a request at a service.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    service: String,
    type_name: Box<str>,
    /// What the request needs, each with what the tree says; nothing if that is not known.
    found: Vec<Found>,
    /// Why it is not known what it needs.
    unknown: Option<String>,
}

/// One need and what the tree says to it.
#[derive(Clone, Debug)]
struct Found {
    need: Need,
    allowed: bool,
    /// As Magpie writes it: `user:alice`, `group:staff`, `multiple`, …
    reason: String,
    /// Where the permission is set that decides: how many steps below the service.
    depth: Option<usize>,
}

/// How many bytes of a name are told in logs.
const LONGEST_NAME: usize = 200;

impl Answer {
    /// Asks the tree about everything that the request needs.
    ///
    /// # Errors
    /// The service does not exist, or the request is wrong.
    pub(super) fn to(tree: &Tree, asker: &Asker, asked: &Asked<'_>) -> Result<Self, Declined> {
        let Some(service) = tree.service(asked.service) else {
            let name = shortened(asked.service.to_owned());
            return Err(Declined::NoService(format!(
                "Magpie's files have no service `{name}`"
            )));
        };
        let answer = Self {
            service: asked.service.to_owned(),
            type_name: service.type_name.clone(),
            found: Vec::new(),
            unknown: None,
        };
        match needs(&service.kind, &asked.request) {
            Ok(needs) => {
                let found = needs.asked.into_iter();
                let found = found.map(|need| Found::to(tree, asker, service, need));
                Ok(Self {
                    found: found.collect(),
                    ..answer
                })
            }
            Err(Unclear::Unknown(why)) => Ok(Self {
                unknown: Some(why),
                ..answer
            }),
            Err(Unclear::Malformed(why)) => Err(Declined::Malformed(why)),
        }
    }

    /// True if everything that the request needs is allowed.
    fn allowed(&self) -> bool {
        self.unknown.is_none() && !self.found.is_empty() && self.found.iter().all(|found| found.allowed)
    }

    /// What decides: the first no, or else the first yes.
    fn decisive(&self) -> Option<&Found> {
        let no = self.found.iter().find(|found| !found.allowed);
        no.or(self.found.first())
    }

    fn reason(&self) -> &str {
        match self.decisive() {
            Some(found) if self.unknown.is_none() => &found.reason,
            _ => "undetermined",
        }
    }

    /// `context.magpie`.
    ///
    /// # Errors
    /// Cedar's message.
    pub(crate) fn context(&self) -> Given {
        let permissions = self.found.iter().map(|found| found.need.permission.as_str());
        let resources: Vec<String> = self.found.iter().map(|found| self.place(&found.need)).collect();
        Given::record([
            ("allowed", Given::boolean(self.allowed())),
            ("reason", Given::text(self.reason())),
            ("service", Given::text(&self.service)),
            ("service_type", Given::text(&self.type_name)),
            ("permissions", Given::texts(permissions)),
            ("resources", Given::texts(resources.iter().map(String::as_str))),
        ])
    }

    /// `; Magpie denies read on /api/private (group:staff)`, for logs.
    pub(crate) fn said(&self) -> String {
        let mut text = String::from("; Magpie ");
        match (&self.unknown, self.decisive()) {
            (Some(why), _) => {
                let _ = write!(text, "cannot say what this needs at {}: {why}", self.service);
            }
            (None, Some(found)) => {
                let place = shortened(self.place(&found.need));
                let verb = if found.allowed { "allows" } else { "denies" };
                let _ = write!(
                    text,
                    "{verb} {} on {place} ({})",
                    found.need.permission, found.reason
                );
            }
            (None, None) => text.push_str("was asked for nothing"),
        }
        text
    }

    /// The same with everything that was looked at, for people.
    pub(crate) fn explained(&self, tree: &Tree, asker: &Asker) -> explain::Magpie {
        let service = tree.service(&self.service);
        let needs = self
            .found
            .iter()
            .filter_map(|found| Some(self.laid_open(tree, asker, service?, found)));
        let mut groups = asker
            .groups
            .iter()
            .map(|number| tree.name(Subject::Group(*number)).to_owned());
        explain::Magpie {
            service: self.service.clone(),
            service_type: self.type_name.to_string(),
            allowed: self.allowed(),
            reason: self.reason().to_owned(),
            unknown: self.unknown.clone(),
            user: asker.user.map(|user| tree.name(Subject::User(user)).to_owned()),
            groups: groups.by_ref().collect(),
            needs: needs.collect(),
        }
    }

    fn laid_open(&self, tree: &Tree, asker: &Asker, service: &Service, found: &Found) -> explain::MagpieNeed {
        let mut chain = Vec::new();
        let effective = resolve(tree, asker, service.root, &found.need, |seen| {
            let (kind, name) = kind_and_name(tree, seen.subject);
            let subject = format!("{kind}:{name}");
            let several = found.reason == "multiple" && seen.subject.priority() == Some(Priority::Ordinary);
            let agrees = (seen.rule.access == Access::Allow) == found.allowed;
            let decides = found.depth == Some(seen.depth) && (several || found.reason == subject);
            chain.push(explain::MagpieSeen {
                resource: self.place_at(&found.need, seen.depth),
                subject,
                permission: format!("{}-{}", found.need.permission, seen.rule.as_str()),
                reaches: seen.reaches,
                decides: decides && agrees && seen.reaches,
            });
        });
        explain::MagpieNeed {
            resource: self.place(&found.need),
            permission: found.need.permission.to_string(),
            exact: effective.exact,
            allowed: effective.allowed,
            reason: found.reason.clone(),
            chain,
        }
    }

    /// `/service/outer/inner`; `/*` behind it is something below, `/**` everything.
    fn place(&self, need: &Need) -> String {
        let below = match need.reach {
            Reach::Exact => "",
            Reach::Below => "/*",
            Reach::Everything => "/**",
        };
        self.place_at(need, need.resource.len()) + below
    }

    fn place_at(&self, need: &Need, depth: usize) -> String {
        let names = need.resource.iter().take(depth);
        names.fold(format!("/{}", self.service), |place, name| place + "/" + name)
    }
}

impl Found {
    fn to(tree: &Tree, asker: &Asker, service: &Service, need: Need) -> Self {
        let Effective { allowed, reason, .. } = resolve(tree, asker, service.root, &need, |_| {});
        let (reason, depth) = match reason {
            Reason::Administrator => ("administrator".to_owned(), None),
            Reason::Of(subject, depth) => {
                let (kind, name) = kind_and_name(tree, subject);
                (format!("{kind}:{name}"), Some(depth))
            }
            Reason::Multiple(depth) => ("multiple".to_owned(), Some(depth)),
            Reason::Below(subject) => {
                let (kind, name) = kind_and_name(tree, subject);
                (format!("{kind}:{name}"), None)
            }
            Reason::NoPermission => ("no-permission".to_owned(), None),
        };
        Self {
            need,
            allowed,
            reason,
            depth,
        }
    }
}

/// A text that may come from a client, for logs.
fn shortened(mut text: String) -> String {
    policy::shortened(&mut text, LONGEST_NAME);
    text
}

fn kind_and_name(tree: &Tree, subject: Subject) -> (&'static str, &str) {
    let kind = match subject {
        Subject::User(_) => "user",
        Subject::Group(_) => "group",
    };
    (kind, tree.name(subject))
}
