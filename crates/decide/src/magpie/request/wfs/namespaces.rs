//! Names of feature types, `prefix:name`. Requests may say themselves what a prefix stands for, so that `public:roads` is
//! `private:roads` to the service. Such prefixes are believed only for namespaces that the configuration knows.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::Unclear;
use super::super::operation::Named;
use super::super::parameters::{Parameters, malformed, name};

/// The namespaces (URIs) of a service with the names that its resources have for them: for GeoServer its workspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Namespaces(pub(in super::super) BTreeMap<String, String>);

/// What prefixes stand for in a query: `namespaces=xmlns(p,uri)` (WFS 2.0), `namespace=xmlns(p=uri)` (WFS 1.1).
#[derive(Debug, Default)]
pub(super) struct Bindings(BTreeMap<String, String>);

impl Namespaces {
    /// Reads `name` or `prefix:name`, where `bound` says what a prefix stands for; the empty one is that of names without.
    /// `None`: it stands for a namespace that the configuration does not know.
    pub(super) fn named<'b>(
        &self,
        text: &str,
        bound: impl Fn(&str) -> Option<&'b str>,
    ) -> Result<Option<Named>, Unclear> {
        let (prefix, local) = match text.split_once(':') {
            Some((_, local)) if local.contains(':') => {
                return malformed(&format!("`{}` is no name of a feature type", text.escape_debug()));
            }
            Some((prefix, local)) => (name("a prefix", prefix)?, local),
            None => (String::new(), text),
        };
        let name = name("a feature type", local)?;
        Ok(match bound(&prefix) {
            Some(uri) => self.within(uri, name),
            None => Some(Named {
                workspace: (!prefix.is_empty()).then_some(prefix),
                name,
            }),
        })
    }

    /// `name` in a namespace, if the configuration knows it.
    pub(super) fn within(&self, uri: &str, name: String) -> Option<Named> {
        let workspace = self.0.get(uri)?.clone();
        Some(Named {
            workspace: Some(workspace),
            name,
        })
    }
}

impl Bindings {
    /// Reads both parameters.
    pub(super) fn of_query(parameters: &Parameters) -> Result<Self, Unclear> {
        let mut bindings = BTreeMap::new();
        for parameter in ["namespaces", "namespace"] {
            let Some(value) = parameters.get(parameter) else {
                continue;
            };
            let wrong = || malformed(&format!("`{parameter}` is `{}`", value.escape_debug()));
            let mut rest = value;
            while !rest.is_empty() {
                let inside = rest.strip_prefix("xmlns(").and_then(|rest| rest.split_once(')'));
                let Some((inside, after)) = inside else {
                    return wrong();
                };
                let (prefix, uri) = inside.split_once([',', '=']).unwrap_or(("", inside));
                if uri.is_empty()
                    || uri.contains('(')
                    || bindings.insert(prefix.to_owned(), uri.to_owned()).is_some()
                {
                    return wrong();
                }
                rest = match after.strip_prefix(',') {
                    Some("") => return wrong(),
                    Some(next) => next,
                    None if after.is_empty() => after,
                    None => return wrong(),
                };
            }
        }
        Ok(Self(bindings))
    }

    pub(super) fn get(&self, prefix: &str) -> Option<&str> {
        self.0.get(prefix).map(String::as_str)
    }
}
