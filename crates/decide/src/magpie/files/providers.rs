//! The section `providers`: services by name.

use super::super::request::ServiceKind;
use super::super::tree::Tree;
use super::entry::{map, text};
use crate::policy::{Data, DataValue, Findings};

/// What a service may say. What is only for Magpie's proxy and catalogue (`url`, `title`, …) is not looked at.
const MEMBERS: [&str; 8] = [
    "url",
    "title",
    "public",
    "c4i",
    "type",
    "sync_type",
    "configuration",
    "hooks",
];

/// Adds all services of a section.
pub(super) fn read(data: &Data, tree: &mut Tree, findings: &mut Findings<'_>) {
    match &data.value {
        DataValue::Map(services) => {
            for (name, span, service) in services {
                read_service((name, *span), service, tree, findings);
            }
        }
        DataValue::Scalar(value) if value.is_null() => {}
        DataValue::Scalar(_) | DataValue::List(_) => findings.error(
            data.span,
            "`providers` has services by name",
            "for example `thredds: {url: http://localhost:8083, type: thredds}`",
        ),
    }
}

fn read_service(
    (name, span): (&str, (usize, usize)),
    data: &Data,
    tree: &mut Tree,
    findings: &mut Findings<'_>,
) {
    if !is_name(name) {
        let message = format!("`{name}` is no name of a service");
        findings.error(
            span,
            message,
            "use letters, digits, `.`, `_`, `~` and `-`: it is a part of paths",
        );
        return;
    }
    if !map("a service", data, &MEMBERS, findings) {
        return;
    }
    let Ok(kind) = text(data, "type", findings) else {
        return;
    };
    let Some((type_name, at)) = kind else {
        findings.error(span, "a service says its `type`", "for example `type: api`");
        return;
    };
    let configuration = data.get("configuration");
    let value = configuration.map(Data::to_json);
    let kind = match ServiceKind::read(type_name, value.as_ref()) {
        Ok(kind) => kind,
        Err(messages) => {
            // Of the two, the type is wrong if it is wrong alone.
            let type_is_good = ServiceKind::read(type_name, None).is_ok();
            let at = configuration
                .filter(|_| type_is_good)
                .map_or(at, |data| data.span);
            for message in messages {
                findings.error(at, message, "");
            }
            return;
        }
    };
    if let Some(hooks) = data.get("hooks") {
        let message = "hooks are not run: they change requests, and here it is only decided about them";
        let help = "leave them to the proxy or to Magpie";
        findings.advice(hooks.span, message, help);
    }
    if !tree.add_service(name, type_name, kind) {
        findings.error(
            span,
            format!("there is a service `{name}` already"),
            "keep one of the two",
        );
    }
}

/// What stands for itself in a path (RFC 3986 section 2.3).
fn is_name(name: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-');
    !name.is_empty() && name.bytes().all(unreserved)
}
