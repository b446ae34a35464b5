//! Texts with `${NAME}` in them.

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// As it stands.
    Text(&'t str),
    /// `${name}` or `${name:-default}`.
    Variable {
        /// The name of an environment variable.
        name: &'t str,
        /// What stands for it when it is unset or empty.
        default: Option<&'t str>,
    },
}

/// A `${` that is no reference. The texts do not quote it: it can be in an included file, where it can be a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// There is no `}` behind it.
    #[error("a `${{` is not closed by a `}}`")]
    Open,
    /// There is another `{` before the `}`.
    #[error("there is a `{{` within `${{…}}`")]
    Brace,
    /// There is no name.
    #[error("a `${{…}}` names no environment variable")]
    Empty,
    /// What stands for the name is none.
    #[error("what is within `${{…}}` is not the name of an environment variable")]
    Name,
}

/// Takes a text apart.
///
/// # Errors
/// The first thing that is malformed.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, Malformed> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            parts.extend([Part::Text(before), Part::Text("${")]);
            rest = after;
            continue;
        }
        let (inside, after) = after.split_once('}').ok_or(Malformed::Open)?;
        if inside.contains('{') {
            return Err(Malformed::Brace);
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name.trim(), Some(default.trim())),
            None => (inside.trim(), None),
        };
        if name.is_empty() {
            return Err(Malformed::Empty);
        }
        if !is_name(name) {
            return Err(Malformed::Name);
        }
        parts.extend([Part::Text(before), Part::Variable { name, default }]);
        rest = after;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// Whether this can be the name of an environment variable. Without `-`: `${NAME-default}` lacks its colon.
pub(super) fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}
