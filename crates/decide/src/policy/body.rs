//! The members of a JSON body that policies may look at, taken out without building the rest.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The string members `names` of a JSON object, in the order of `names`. Other members cost no memory.
///
/// # Errors
/// What is not exactly one reading: no JSON object, something behind it, a wanted member that is there twice or is no
/// string.
pub(crate) fn members(body: &[u8], names: &[String]) -> Result<Vec<Option<String>>, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = json
        .deserialize_map(Members(names))
        .and_then(|found| json.end().map(|()| found));
    found.map_err(|error| format!("the body cannot be read as a JSON object: {error}"))
}

struct Members<'n>(&'n [String]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found: Vec<Option<String>> = vec![None; self.0.len()];
        while let Some(key) = entries.next_key::<Cow<'_, str>>()? {
            let value: &RawValue = entries.next_value()?;
            let wanted = self.0.iter().position(|name| *name == key);
            if let Some(place) = wanted.and_then(|index| found.get_mut(index)) {
                let text = serde_json::from_str(value.get())
                    .map_err(|_| A::Error::custom(format!("the member `{key}` is not a string")))?;
                if place.replace(text).is_some() {
                    return Err(A::Error::custom(format!("the member `{key}` is there twice")));
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_and_everything_doubtful_is_refused() {
        let deep = format!("{{\"x\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
        for (body, expected) in [
            (
                r#"{"name": "alice", "more": {"name": 1, "name": 2}}"#,
                Ok(Some("alice")),
            ),
            (r#"{"n\u0061me": "\u0061lice"}"#, Ok(Some("alice"))),
            ("{}", Ok(None)),
            (r#"{"Name": "alice"}"#, Ok(None)),
            (r#"{"name": "a", "name": "a"}"#, Err("twice")),
            (r#"{"name": "a", "n\u0061me": "b"}"#, Err("twice")),
            (r#"{"name": 1}"#, Err("not a string")),
            (r#"{"name": ["alice"]}"#, Err("not a string")),
            (r#"{"name": null}"#, Err("not a string")),
            (r#"["alice"]"#, Err("expected an object")),
            (r#"{"name": "alice""#, Err("EOF")),
            (r#"{"name": "alice"} x"#, Err("trailing")),
            // What is not looked at is walked over without recursion.
            (&deep, Ok(None)),
            ("", Err("EOF")),
        ] {
            match (members(body.as_bytes(), &["name".to_owned()]), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, [expected.map(str::to_owned)], "{body}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{body}: {why}"),
                (got, _) => panic!("{body}: {got:?}"),
            }
        }
        assert!(members(b"{\"name\": \"alice\xff\"}", &["name".to_owned()]).is_err());
    }
}
