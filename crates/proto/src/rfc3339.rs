//! Times in JSON: text as RFC 3339 has it, in UTC.

use prost_types::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

/// The time as text; `None` if there is no such date.
pub fn text(time: &Timestamp) -> Option<String> {
    let time = jiff::Timestamp::new(time.seconds, time.nanos).ok()?;
    Some(time.to_string())
}

/// The time that a text says.
///
/// # Errors
/// What is wrong with it, for people.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("{text:?} is not a time like 2026-11-22T07:30:00Z"))?;
    Ok(Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    })
}

pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.as_ref().and_then(text).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| parse(&text))
        .transpose()
        .map_err(D::Error::custom)
}
