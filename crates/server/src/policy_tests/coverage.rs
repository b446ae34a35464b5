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
    /// In words.
    pub(crate) what: String,
    /// The name, if it is a policy.
    policy: Option<String>,
}

impl Coverage {
    /// What `ran` exercises of `pack`.
    pub(crate) fn of(pack: &Pack, ran: &[Ran]) -> Self {
        let mut policies = HashSet::new();
        let mut asked = HashSet::new();
        for row in ran
            .iter()
            .flat_map(|suite| &suite.rows)
            .filter(|row| row.passed())
        {
            let known = pack.loaded.rules.policies();
            policies.extend(row.answer.policies.iter().map(|policy| known.written(policy)));
            if let Some(route) = row.answer.route.as_deref() {
                asked.insert((route, row.case.question.method.as_str()));
            }
        }
        let advice = &pack.loaded.advice;
        let mut uncovered = Vec::new();
        let mut methods = (0, 0);
        let settings = &pack.loaded.config.settings.routes;
        for (index, (route, compiled)) in settings
            .iter()
            .zip(pack.loaded.rules.routes().routes())
            .enumerate()
        {
            let name = &*compiled.name;
            let missing = |method: &&str| !asked.contains(&(name, *method));
            let missing: Vec<&str> = route.methods.iter().map(String::as_str).filter(missing).collect();
            methods.0 += route.methods.len() - missing.len();
            methods.1 += route.methods.len();
            if !missing.is_empty() {
                uncovered.push(Uncovered {
                    file: advice.file().to_owned(),
                    line: advice.line(&format!("/routes/{index}")),
                    what: if missing.len() == route.methods.len() {
                        format!("the route {name}")
                    } else {
                        format!("{} of the route {name}", missing.join(", "))
                    },
                    policy: None,
                });
            }
        }
        let all = outline(advice.sources());
        let missing: Vec<_> = all
            .iter()
            .filter(|policy| !policies.contains(&policy.name))
            .collect();
        uncovered.extend(missing.iter().map(|policy| Uncovered {
            file: policy.file.clone(),
            line: policy.line,
            what: format!("the policy `{}`", policy.name),
            policy: Some(policy.name.clone()),
        }));
        Self {
            policies: (all.len() - missing.len(), all.len()),
            methods,
            uncovered,
        }
    }

    /// The names of the policies that no test exercises.
    pub(crate) fn untested_policies(&self) -> Vec<&str> {
        self.uncovered
            .iter()
            .filter_map(|uncovered| uncovered.policy.as_deref())
            .collect()
    }
}
