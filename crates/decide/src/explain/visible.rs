//! What of a request may be shown and kept: what policies may see, and never a credential.

use std::collections::BTreeMap;

use model::Headers;

use crate::identity::Place;
use crate::policy::query_parameter;
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

    /// The names of the query parameters, with the values that may be shown.
    pub(super) fn query(self, query: Option<&str>) -> Vec<(String, Option<String>)> {
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name).to_owned())
            .map(|name| {
                let value = query.filter(|_| self.parameter(&name));
                let value = value.and_then(|query| query_parameter(query, &name).ok().flatten());
                (name, value)
            })
            .collect()
    }

    /// True if the value of the query parameter `name` may be shown.
    pub(super) fn parameter(self, name: &str) -> bool {
        let secret = |place: &Place| matches!(place, Place::Query(parameter) if parameter == name);
        self.expose.query.iter().any(|shown| shown == name) && !self.places.iter().any(secret)
    }
}
