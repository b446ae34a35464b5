//! The parameters of an OGC request, from its query.

use super::{MOST_NEEDS, Permission, Unclear};
use crate::policy::percent_decode;

/// Parameters by their names in small letters, each there once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query.
    ///
    /// # Errors
    /// What two readers could understand differently. Names are visible ASCII: some readers hold letters beyond it for
    /// the same as some in it (`ſ` and `s`).
    pub(super) fn read(query: Option<&str>) -> Result<Self, Unclear> {
        let query = query.unwrap_or_default();
        if query.contains(';') {
            return malformed("the query has a `;`");
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (percent_decode(name), percent_decode(value)) else {
                return malformed("the query has escapes that are not well-formed UTF-8");
            };
            if !name.bytes().all(|byte| byte.is_ascii_graphic()) || name.is_empty() {
                return malformed(&format!(
                    "the query has a parameter called `{}`",
                    name.escape_debug()
                ));
            }
            pairs.push((name.to_ascii_lowercase(), value));
        }
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        let twice = pairs
            .windows(2)
            .find_map(|pair| matches!(pair, [one, other] if one.0 == other.0).then(|| pair.first())?);
        match twice {
            Some((name, _)) => malformed(&format!("the query has `{name}` several times")),
            None => Ok(Self(pairs)),
        }
    }

    /// The value of a parameter; `name` is in small letters.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(there, _)| there.as_str().cmp(name));
        let (_, value) = self.0.get(found.ok()?)?;
        Some(value)
    }

    /// The first of `names` that is there.
    pub(super) fn any_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.get(name).is_some())
    }

    /// All names in the comma-separated lists of these parameters.
    pub(super) fn lists(&self, names: &[&str]) -> Result<Vec<String>, Unclear> {
        let values = names.iter().filter_map(|name| Some((*name, self.get(name)?)));
        let mut listed = Vec::new();
        for (parameter, value) in values {
            for item in value.split(',') {
                listed.push(name(parameter, item)?);
                few_enough(listed.len())?;
            }
        }
        Ok(listed)
    }

    /// What `request` asks for.
    pub(super) fn permission(&self) -> Result<Permission, Unclear> {
        match self.get("request") {
            None => malformed("there is no parameter `request`"),
            Some(value) => permission(value),
        }
    }

    /// Makes sure that `service`, if it is there, is this one.
    pub(super) fn for_service(&self, service: &str) -> Result<(), Unclear> {
        match self.get("service") {
            Some(other) if !other.eq_ignore_ascii_case(service) => malformed(&format!(
                "`service` is `{}` at a service of type {service}",
                other.escape_debug()
            )),
            _ => Ok(()),
        }
    }
}

/// The permission of an operation's name, whatever its letters' case.
pub(super) fn permission(operation: &str) -> Result<Permission, Unclear> {
    let known = operation.to_ascii_lowercase().parse();
    known.or_else(|_| {
        malformed(&format!(
            "there is no permission for the request `{}`",
            operation.escape_debug()
        ))
    })
}

/// One name, as it is. One that some readers would trim, split or cut off is none.
pub(super) fn name(place: &str, text: &str) -> Result<String, Unclear> {
    let doubtful = |c: char| c.is_control() || matches!(c, ',' | '(' | ')' | '*' | '\u{feff}');
    if text.is_empty() || text.trim() != text || text.contains(doubtful) {
        return malformed(&format!("`{place}` has the name `{}`", text.escape_debug()));
    }
    Ok(text.to_owned())
}

/// Names have a limit, or one request could ask for as much work as it likes.
pub(super) fn few_enough(names: usize) -> Result<(), Unclear> {
    if names > MOST_NEEDS {
        return malformed(&format!("more than {MOST_NEEDS} names"));
    }
    Ok(())
}

/// A wrong request.
pub(super) fn malformed<T>(why: &str) -> Result<T, Unclear> {
    Err(Unclear::Malformed(why.to_owned()))
}

/// A request that may be right.
pub(super) fn unknown<T>(why: &str) -> Result<T, Unclear> {
    Err(Unclear::Unknown(why.to_owned()))
}
