//! Members of an entry, read strictly.

use crate::policy::{Data, DataValue, Findings};
use crate::problem::did_you_mean;

/// Says that `what` has no member `name`.
pub(super) fn unknown(
    what: &str,
    name: &str,
    span: (usize, usize),
    known: &[&str],
    findings: &mut Findings<'_>,
) {
    let help = match did_you_mean(name, known.iter().copied()) {
        help if help.is_empty() => format!("there are {}", known.join(", ")),
        help => help,
    };
    findings.error(span, format!("{what} has no `{name}`"), help);
}

/// An entry that is a map with no other members than these; says so if it is not.
pub(super) fn map(what: &str, data: &Data, known: &[&str], findings: &mut Findings<'_>) -> bool {
    let DataValue::Map(members) = &data.value else {
        findings.error(
            data.span,
            format!("{what} is a map"),
            format!("it has {}", known.join(", ")),
        );
        return false;
    };
    let mut good = true;
    for (name, span, _) in members {
        if !known.contains(&name.as_str()) {
            unknown(what, name, *span, known, findings);
            good = false;
        }
    }
    good
}

/// A text and its place; nothing if it is not there; `Err` if it is wrong, which was said.
type Found<'d> = Result<Option<(&'d str, (usize, usize))>, ()>;

/// The text of a member; nothing if it is not there or null.
pub(super) fn text<'d>(entry: &'d Data, name: &str, findings: &mut Findings<'_>) -> Found<'d> {
    let Some(data) = entry.get(name) else {
        return Ok(None);
    };
    one_text(data, name, findings)
}

/// The text that a value is.
pub(super) fn one_text<'d>(data: &'d Data, name: &str, findings: &mut Findings<'_>) -> Found<'d> {
    match (&data.value, data.text()) {
        (DataValue::Scalar(value), _) if value.is_null() => Ok(None),
        (_, Some(text)) if text.contains('$') => {
            let help = "variables are Magpie's: write what they stand for";
            findings.error(data.span, format!("`{name}` has a `$` in it"), help);
            Err(())
        }
        (_, Some(text)) if !text.is_empty() && text.trim() == text => Ok(Some((text, data.span))),
        _ => {
            let message = format!("`{name}` is a text without blanks at its ends");
            findings.error(data.span, message, "a number or `true` needs quotes: \"1\"");
            Err(())
        }
    }
}
