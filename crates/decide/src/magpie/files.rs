//! Magpie's own files, `providers.cfg`, `permissions.cfg` and `config.yml`, read into a tree.
//!
//! Magpie skips what it does not understand, and a denial that was skipped lets people in; so here everything that could
//! have meant something is a problem, and all problems are told.

mod entry;
mod groups;
mod permissions;
mod providers;

use super::tree::Tree;
use crate::policy::{Data, DataFile, DataValue, Findings};
use crate::problem::Problem;
use entry::unknown;

/// What a file may have. Webhooks tell others what changes in Magpie, and have no say here.
const SECTIONS: [&str; 5] = ["providers", "permissions", "users", "groups", "webhooks"];

/// Reads all files: first all services, then users and groups, then permissions in the order of the files.
pub(super) fn read(files: &[DataFile], problems: &mut Vec<Problem>) -> Tree {
    let mut tree = Tree::default();
    for file in files {
        let mut findings = Findings::new(file);
        check_sections(&file.data, &mut findings);
        findings.finish(problems);
    }
    section(files, "providers", problems, |data, findings| {
        providers::read(data, &mut tree, findings);
    });
    let mut known = groups::Known::default();
    section(files, "groups", problems, |data, findings| {
        known.read_groups(data, findings);
    });
    section(files, "users", problems, |data, findings| {
        known.read_users(data, &mut tree, findings);
    });
    section(files, "permissions", problems, |data, findings| {
        permissions::read(data, &mut tree, findings);
    });
    tree
}

/// Reads one section of all files.
fn section(
    files: &[DataFile],
    name: &str,
    problems: &mut Vec<Problem>,
    mut read: impl FnMut(&Data, &mut Findings<'_>),
) {
    for file in files {
        if let Some(data) = file.data.get(name) {
            let mut findings = Findings::new(file);
            read(data, &mut findings);
            findings.finish(problems);
        }
    }
}

fn check_sections(data: &Data, findings: &mut Findings<'_>) {
    match &data.value {
        DataValue::Map(members) => {
            for (name, span, _) in members {
                if !SECTIONS.contains(&name.as_str()) {
                    unknown("a file of Magpie's", name, *span, &SECTIONS, findings);
                }
            }
        }
        DataValue::Scalar(value) if value.is_null() => {}
        DataValue::Scalar(_) | DataValue::List(_) => findings.error(
            data.span,
            "a file of Magpie's has sections",
            "`providers:` with services by name, `permissions:` with a list",
        ),
    }
}

#[cfg(test)]
mod tests;
