//! Strict JSON: what two parsers could read differently is refused.
//!
//! On top of serde_json (which refuses bad UTF-8, lone surrogates, a byte order mark, trailing bytes, and numbers that
//! are not finite): no duplicate member names at any level, escapes resolved, and at most 32 levels of nesting.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::refusal::Quoted;

/// Deepest nesting of arrays and objects.
pub(super) const MAX_DEPTH: usize = 32;

/// Parses `bytes` as one JSON text.
///
/// # Errors
/// What is wrong, without quoting more than a member name.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { levels: MAX_DEPTH }
        .deserialize(&mut deserializer)
        .map_err(|e| e.to_string())?;
    deserializer.end().map_err(|e| e.to_string())?;
    Ok(value)
}

/// Reads one value, with so many levels below it.
#[derive(Clone, Copy)]
struct Strict {
    levels: usize,
}

impl Strict {
    fn below<E: Error>(self) -> Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E: Error>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "member {} occurs twice",
                    Quoted::new(&name)
                )));
            }
            members.insert(name, map.next_value_seed(below)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_parser_reads_alike_is_accepted() {
        for text in [
            "{}",
            " {\"a\" : [1, -2, 3.5, 1e9, null, true, \"\\u0073\"]}\n",
            "\"x\"",
            "[]",
            "0",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
        }
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert!(parse(deep.as_bytes()).is_ok());
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let check = |text: &[u8], why: &str| match parse(text) {
            Err(e) => assert!(e.contains(why), "{:?}: {e}", String::from_utf8_lossy(text)),
            Ok(v) => panic!("{:?} was read as {v}", String::from_utf8_lossy(text)),
        };
        for (text, why) in [
            (&br#"{"a":1,"a":1}"#[..], "\"a\" occurs twice"),
            (br#"{"sub":"u","\u0073ub":"admin"}"#, "\"sub\" occurs twice"),
            (br#"{"x":[{"y":{"r":1,"r":2}}]}"#, "\"r\" occurs twice"),
            (br#"{}{}"#, "trailing"),
            (b"{}\0", "trailing"),
            (br#"{"a":1,}"#, "trailing comma"),
            (b"\xEF\xBB\xBF{}", "expected value"),
            (b"{\0\"\0}\0", "key must be a string"),
            (br#"{"a":"\ud800"}"#, "hex escape"),
            (br#"{"a":"\ud800\u0041"}"#, "surrogate"),
            (b"{\"a\":\"\xC0\xAF\"}", "unicode"),
            (b"{\"a\":\"\xFF\"}", "unicode"),
            (b"{\"\xFF\":1}", "unicode"),
            (b"{\"a\":\"\n\"}", "control character"),
            (b"{\"a\":0x10}", "expected `,` or `}`"),
            (b"{\"a\":01}", "invalid number"),
            (b"{\"a\":+1}", "expected value"),
            (b"{\"a\":NaN}", "expected value"),
            (b"{\"a\":1e999}", "out of range"),
            (b"", "EOF"),
            (b"text", "expected"),
        ] {
            check(text, why);
        }
        check(
            format!("{{\"a\":{}}}", "9".repeat(4000)).as_bytes(),
            "out of range",
        );
        check(
            ("[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1)).as_bytes(),
            "nested deeper",
        );
        check("[".repeat(100_000).as_bytes(), "nested deeper");
        check("{\"a\":".repeat(100_000).as_bytes(), "nested deeper");
    }
}
