//! Strict JSON, borrowed from the body: what two parsers could read differently is refused.
//!
//! On top of serde_json (which refuses bad UTF-8, lone surrogates and trailing bytes): no duplicate member names at any
//! level, escapes resolved, and bounds on depth and on the number of values, because a value takes more memory than its
//! text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of arrays and objects.
const MAX_DEPTH: usize = 32;
/// The most values, inner ones included.
const MAX_VALUES: usize = 16 * 1024;

/// A value, as far as requests need to be told apart.
#[derive(Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object.
    Object(BTreeMap<Cow<'a, str>, Json<'a>>),
    /// `true`.
    True,
    /// `null`, `false` and numbers: nothing that is read from a request.
    Other,
}

/// Parses `bytes` as one JSON text.
///
/// # Errors
/// What is wrong and where; member names are not quoted.
pub(super) fn parse(bytes: &[u8]) -> Result<Json<'_>, String> {
    let mut values = MAX_VALUES;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let strict = Strict {
        levels: MAX_DEPTH,
        values: &mut values,
    };
    let value = strict
        .deserialize(&mut deserializer)
        .map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads one value, with so many levels below it and so many values left.
struct Strict<'v> {
    levels: usize,
    values: &'v mut usize,
}

impl Strict<'_> {
    fn levels_below<E: Error>(&self) -> Result<usize, E> {
        self.levels
            .checked_sub(1)
            .ok_or_else(|| E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        *self.values = self
            .values
            .checked_sub(1)
            .ok_or_else(|| D::Error::custom(format_args!("more than {MAX_VALUES} values")))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Json<'de>, E> {
        Ok(if v { Json::True } else { Json::Other })
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let levels = self.levels_below()?;
        let mut list = Vec::new();
        loop {
            let below = Strict {
                levels,
                values: &mut *self.values,
            };
            match seq.next_element_seed(below)? {
                Some(value) => list.push(value),
                None => return Ok(Json::List(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let levels = self.levels_below()?;
        let mut members = BTreeMap::new();
        while let Some(Name(name)) = map.next_key()? {
            let below = Strict {
                levels,
                values: &mut *self.values,
            };
            if members.insert(name, map.next_value_seed(below)?).is_some() {
                return Err(A::Error::custom("an object has a member twice"));
            }
        }
        Ok(Json::Object(members))
    }
}

/// The name of a member, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_parser_reads_alike_is_borrowed() {
        let text = br#" {"a": ["x", true, {"b\u0041": "\u00e9"}], "n": [1, -2.5, null, false]} "#;
        let Ok(Json::Object(members)) = parse(text) else {
            panic!("an object")
        };
        let Json::List(list) = &members["a"] else {
            panic!("an array")
        };
        assert!(matches!(&list[..2], [Json::Text(Cow::Borrowed("x")), Json::True]));
        let inner = BTreeMap::from([("bA".into(), Json::Text("é".into()))]);
        assert_eq!(list[2], Json::Object(inner));
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert!(parse(deep.as_bytes()).is_ok());
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES - 1));
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        for (text, why) in [
            (&br#"{"a":1,"a":1}"#[..], "twice"),
            (br#"{"path":"/a","p\u0061th":"/b"}"#, "twice"),
            (br#"{"x":[{"y":{"r":1,"r":2}}]}"#, "twice"),
            (br#"{}{}"#, "trailing"),
            (br#"{"a":1,}"#, "trailing comma"),
            (b"\xEF\xBB\xBF{}", "expected value"),
            (br#"{"a":"\ud800"}"#, "hex escape"),
            (b"{\"a\":\"\xFF\"}", "unicode"),
            (b"{\"\xFF\":1}", "unicode"),
            (b"{\"a\":\"\n\"}", "control character"),
            (b"", "EOF"),
            (many.as_bytes(), "more than"),
            (deep.as_bytes(), "nested deeper"),
            ("{\"a\":".repeat(100_000).as_bytes(), "nested deeper"),
        ] {
            let error = parse(text).expect_err("must be refused");
            assert!(error.contains(why), "{}: {error}", text.escape_ascii());
        }
    }
}
