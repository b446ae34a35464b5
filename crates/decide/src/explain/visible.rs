//! What of a request may be shown and kept: what policies may see, and never a credential.

use std::collections::BTreeMap;

use model::Headers;

use crate::identity::Place;
use crate::policy::{percent_decode, query_parameter};
use crate::settings::Expose;

/// Headers that are credentials, whoever reads them.
const SECRET: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-forwarded-authorization",
];

/// What may be shown.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'r> {
    pub(crate) expose: &'r Expose,
    /// Where credentials may be.
    pub(crate) places: &'r [Place],
}

impl Visible<'static> {
    /// Nothing at all.
    pub fn nothing() -> Self {
        static NOTHING: Expose = Expose {
            headers: Vec::new(),
            query: Vec::new(),
            extensions: Vec::new(),
            metadata: BTreeMap::new(),
            body: Vec::new(),
        };
        Self {
            expose: &NOTHING,
            places: &[],
        }
    }
}

impl<'r> Visible<'r> {
    /// Names and values of the headers that may be shown.
    pub(super) fn headers(self, headers: &Headers<'_>) -> Vec<(String, String)> {
        let header = |name: &String| {
            let value = headers.single(name).ok().flatten()?;
            Some((name.clone(), String::from_utf8_lossy(value).into_owned()))
        };
        self.header_names().filter_map(header).collect()
    }

    /// The headers that may be shown.
    pub(super) fn header_names(self) -> impl Iterator<Item = &'r String> {
        self.expose.headers.iter().filter(move |name| {
            let place = |place: &Place| matches!(place, Place::Header(header) if header == *name);
            !SECRET.contains(&name.as_str()) && !self.places.iter().any(place)
        })
    }

    /// The names of the query parameters, with the values that may be shown. What stands there without a `=` is shown only
    /// if its name is one that may be: it may as well be a value.
    pub(super) fn query(self, query: Option<&str>) -> Vec<(String, Option<String>)> {
        let query = query.unwrap_or_default();
        // Each value is looked for once, however many pairs there are.
        let shown: Vec<(&str, Option<String>)> = self
            .parameters()
            .map(|name| (name, query_parameter(query, name).ok().flatten()))
            .collect();
        let pair = |pair: &str| {
            let name = pair.split_once('=').map(|(name, _)| name);
            let decoded = percent_decode(name.unwrap_or(pair));
            let shown = shown.iter().find(|(shown, _)| decoded.as_deref() == Some(shown));
            match (name, shown) {
                (None, None) => None,
                _ => Some((
                    name.unwrap_or(pair).to_owned(),
                    shown.and_then(|(_, value)| value.clone()),
                )),
            }
        };
        let pairs = query.split(['&', ';']).filter(|pair| !pair.is_empty());
        pairs.filter_map(pair).collect()
    }

    /// The query without the values that may not be shown; what could be read in two ways stays so. `None` if nothing of
    /// it may be kept, because some take it for other pairs than we do.
    pub fn kept_query(self, query: &str) -> Option<String> {
        if query.contains(';') {
            return None;
        }
        let mut kept = String::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split_once('=').map(|(name, _)| name);
            let decoded = percent_decode(name.unwrap_or(pair));
            let is_shown = decoded.as_deref().is_some_and(|name| self.parameter(name));
            let (part, end) = match name {
                _ if is_shown => (pair, ""),
                Some(name) => (name, "="),
                None if decoded.is_none() => ("%", ""),
                None => continue,
            };
            if !kept.is_empty() {
                kept.push('&');
            }
            kept.push_str(part);
            kept.push_str(end);
        }
        Some(kept)
    }

    /// The query parameters whose values may be shown.
    fn parameters(self) -> impl Iterator<Item = &'r str> {
        let names = self.expose.query.iter().map(String::as_str);
        names.filter(move |name| {
            let secret = |place: &Place| matches!(place, Place::Query(parameter) if parameter == name);
            !self.places.iter().any(secret)
        })
    }

    /// True if the value of the query parameter `name` may be shown.
    fn parameter(self, name: &str) -> bool {
        self.parameters().any(|shown| shown == name)
    }
}

#[cfg(test)]
mod tests;
