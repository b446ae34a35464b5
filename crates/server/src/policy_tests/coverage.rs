//! What no test exercises: policies that determined no answer, methods of routes that nobody asked for.

use std::collections::HashSet;

use decide::policy::outline;

use super::Pack;
use super::run::Ran;

/// What the rows that passed exercise, of what there is.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// Policies: exercised, and all.
    pub(crate) policies: (usize, usize),
    /// Methods of routes: exercised, and all.
    pub(crate) methods: (usize, usize),
    /// The rest.
    pub(crate) uncovered: Vec<Uncovered>,
}

/// Something that no test exercises.
#[derive(Debug)]
pub(crate) struct Uncovered {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// Such as ``the policy `workspace-read` ``.
    pub(crate) what: String,
}

impl Coverage {
    /// What `ran` exercises of `pack`.
    pub(crate) fn of(pack: &Pack, ran: &[Ran]) -> Self {
        let mut policies = HashSet::new();
        let mut methods = HashSet::new();
        for row in ran
            .iter()
            .flat_map(|suite| &suite.rows)
            .filter(|row| row.passed())
        {
            policies.extend(row.answer.policies.iter().map(|policy| &**policy));
            if let Some(route) = row.answer.route.as_deref() {
                methods.insert((route, row.case.question.method.as_str()));
            }
        }
        let mut uncovered = Vec::new();
        let advice = &pack.loaded.advice;
        let mut all_methods = 0;
        let routes = &pack.loaded.config.settings.routes;
        for (index, route) in routes.iter().enumerate() {
            let name = format!("{}{}", route.hosts.join(","), route.path);
            all_methods += route.methods.len();
            let missing = |method: &&str| !methods.contains(&(name.as_str(), *method));
            let missing: Vec<&str> = route.methods.iter().map(String::as_str).filter(missing).collect();
            if !missing.is_empty() {
                uncovered.push(Uncovered {
                    file: advice.file().to_owned(),
                    line: advice.line(&format!("/routes/{index}")),
                    what: if missing.len() == route.methods.len() {
                        format!("the route {name}")
                    } else {
                        format!("{} of the route {name}", missing.join(", "))
                    },
                });
            }
        }
        let all_policies = outline(advice.sources());
        for policy in &all_policies {
            if !policies.contains(policy.name.as_str()) {
                uncovered.push(Uncovered {
                    file: policy.file.clone(),
                    line: policy.line,
                    what: format!("the policy `{}`", policy.name),
                });
            }
        }
        let count = |kind: fn(&Uncovered) -> bool| uncovered.iter().filter(|u| kind(u)).count();
        let missing_policies = count(|uncovered| uncovered.what.starts_with("the policy "));
        let exercised: HashSet<(String, &str)> = routes
            .iter()
            .flat_map(|route| {
                let name = format!("{}{}", route.hosts.join(","), route.path);
                route
                    .methods
                    .iter()
                    .map(move |method| (name.clone(), method.as_str()))
            })
            .filter(|(name, method)| methods.contains(&(name.as_str(), *method)))
            .collect();
        Self {
            policies: (all_policies.len() - missing_policies, all_policies.len()),
            methods: (exercised.len(), all_methods),
            uncovered,
        }
    }
}
