//! Magpie's permissions: who may do what with which resource of which service, answered as Magpie answers it.
//!
//! A route says which service a request is for, `request` what it needs there, `resolve` whether whoever asks (`people`)
//! has it in the `tree`, which is read from Magpie's own `files`. Policies see the `answer` as `context.magpie`, and
//! say yes or no.

mod answer;
mod files;
mod people;
mod request;
mod resolve;
mod settings;
mod tree;

use std::sync::Arc;

use model::Principal;

pub(crate) use answer::Answer;
pub(crate) use request::{RequestBody, ServiceRequest};
pub use settings::{MagpieRouteSettings, MagpieSettings, MagpieUserSettings, UserName};

use crate::explain;
use crate::policy::DataFile;
use crate::problem::{Problem, did_you_mean};
use crate::routes::RouteSettings;
use tree::Tree;

/// Everything that Magpie's questions are answered by. Part of the rules, and replaced with them.
#[derive(Debug)]
pub(crate) struct Magpie {
    /// Of its own, because it need not come from files: whoever keeps services and permissions elsewhere fills one.
    tree: Arc<Tree>,
    users: Vec<MagpieUserSettings>,
}

/// A request at a service.
#[derive(Debug)]
pub(crate) struct Asked<'r> {
    /// The service's name, as the route makes it of the request.
    pub(crate) service: &'r str,
    /// What the service gets to see.
    pub(crate) request: ServiceRequest<'r>,
}

/// Why there is no answer. The texts are for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Declined {
    /// There is no such service (404).
    NoService(String),
    /// The request is wrong (400).
    Malformed(String),
}

impl Magpie {
    /// Reads the files; `known` are the names of those whose principals there are.
    pub(crate) fn compile(
        settings: &MagpieSettings,
        files: &[DataFile],
        known: &[&str],
        problems: &mut Vec<Problem>,
    ) -> Self {
        for (index, user) in settings.users.iter().enumerate() {
            let pointer = format!("/magpie/users/{index}/issuer");
            if !known.contains(&user.issuer.as_str()) {
                let message = format!("there is no issuer `{}`", user.issuer);
                let help = did_you_mean(&user.issuer, known.iter().copied());
                problems.push(Problem::setting(pointer, message, help));
            } else if settings
                .users
                .iter()
                .take(index)
                .any(|other| other.issuer == user.issuer)
            {
                let message = format!("the issuer `{}` is in the list twice", user.issuer);
                problems.push(Problem::setting(pointer, message, "keep one of the two"));
            }
        }
        Self {
            tree: Arc::new(files::read(files, problems)),
            users: settings.users.clone(),
        }
    }

    /// The same for other people.
    #[cfg(test)]
    pub(crate) fn with_users(self, users: Vec<MagpieUserSettings>) -> Self {
        Self { users, ..self }
    }

    /// Checks what routes say about services.
    pub(crate) fn check_routes(
        magpie: Option<&Self>,
        routes: &[RouteSettings],
        is_looked_at: bool,
        problems: &mut Vec<Problem>,
    ) {
        for (index, route) in routes.iter().enumerate() {
            let Some(asked) = &route.magpie else {
                continue;
            };
            let mut problem = |part: &str, message: String, help: String| {
                problems.push(Problem::setting(format!("/routes/{index}{part}"), message, help));
            };
            let Some(magpie) = magpie else {
                let help = "add `magpie: {files: [providers.cfg, permissions.cfg]}` beside `routes`";
                problem(
                    "/magpie",
                    "nothing says what services there are".to_owned(),
                    help.to_owned(),
                );
                continue;
            };
            if !asked.service.contains('{') && magpie.tree.service(&asked.service).is_none() {
                let help = did_you_mean(&asked.service, magpie.tree.services());
                let message = format!("no file has a service `{}`", asked.service);
                problem("/magpie/service", message, help);
            }
            if route.public {
                let message = "a public route is open whatever Magpie says".to_owned();
                problem("/public", message, "remove `public`, or `magpie`".to_owned());
            } else if !is_looked_at {
                let message =
                    "no policy looks at `context.magpie`, so what Magpie says is of no use".to_owned();
                let help = "permit (principal, action, resource) when { context has magpie && context.magpie.allowed };";
                problem("/magpie", message, help.to_owned());
            }
        }
    }

    /// The answer to a request of `principal`; nobody is `None`.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn answer(
        &self,
        principal: Option<&Principal>,
        asked: &Asked<'_>,
    ) -> Result<Answer, Declined> {
        let asker = people::asker(&self.tree, &self.users, principal);
        Answer::to(&self.tree, &asker, asked)
    }

    /// An answer with everything that was looked at.
    pub(crate) fn explain(&self, principal: Option<&Principal>, answer: &Answer) -> explain::Magpie {
        answer.explained(&self.tree, &people::asker(&self.tree, &self.users, principal))
    }
}
