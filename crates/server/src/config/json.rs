//! Data files that are JSON, read several times as fast as the YAML that JSON also is.
//!
//! Large files are written by programs, and programs write JSON. What is not JSON in every respect is left to the reader of
//! YAML, which says what is wrong and where.

use std::borrow::Cow;
use std::fmt;

use decide::policy::{Data, DataValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deeper than any data file; what is deeper is refused by the reader of YAML.
const MAX_DEPTH: usize = 64;

/// The values of a text with their places; `None` if it is not JSON, or has a name twice in one object.
pub(super) fn data(text: &str) -> Option<Data> {
    value(serde_json::from_str(text).ok()?, text, MAX_DEPTH)
}

fn value(raw: &RawValue, whole: &str, depth: usize) -> Option<Data> {
    let depth = depth.checked_sub(1)?;
    let text = raw.get();
    let start = place(text, whole);
    let value = match text.as_bytes().first()? {
        b'[' => {
            let entries: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let entries = entries.into_iter().map(|entry| value(entry, whole, depth));
            DataValue::List(entries.collect::<Option<_>>()?)
        }
        b'{' => {
            let Members(members) = serde_json::from_str(text).ok()?;
            let members = members.into_iter().map(|(name, member)| {
                let member = value(member, whole, depth)?;
                let at = match &name {
                    // With its quotes.
                    Cow::Borrowed(name) => (place(name, whole).saturating_sub(1), name.len() + 2),
                    Cow::Owned(_) => member.span,
                };
                Some((name.into_owned(), at, member))
            });
            DataValue::Map(members.collect::<Option<_>>()?)
        }
        _ => DataValue::Scalar(serde_json::from_str(text).ok()?),
    };
    let first_line = text.lines().next().unwrap_or_default().trim_end();
    Some(Data {
        span: (start, first_line.len()),
        value,
    })
}

/// Where a part of a text begins.
fn place(part: &str, whole: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// The members of an object in their order, each name once.
struct Members<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(4);
                while let Some((Name(name), member)) = entries.next_entry()? {
                    members.push((name, member));
                }
                let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
                names.sort_unstable();
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(serde::de::Error::custom("a name is there twice"));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A name, borrowed where nothing in it is escaped.
struct Name<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use decide::policy::{Data, DataValue};
    use serde_json::Value;

    use super::super::yaml;

    /// Without places.
    fn plain(data: &Data) -> Value {
        match &data.value {
            DataValue::Scalar(value) => value.clone(),
            DataValue::List(entries) => entries.iter().map(plain).collect(),
            DataValue::Map(members) => {
                let members = members
                    .iter()
                    .map(|(name, _, member)| (name.clone(), plain(member)));
                Value::Object(members.collect())
            }
        }
    }

    #[test]
    fn it_says_what_the_reader_of_yaml_says() {
        for text in [
            "[]",
            "{}",
            "null",
            r#"[{"template": "member", "principal": "User::\"main/a\"", "id": "x"}]"#,
            "[{\"a\": [1, -2, 2.5, true, false, null, \"\"]},\n {\"b\": {\"c\": {}}}]\n",
            r#"{"\u0061b": "\u00e9\n", "ü": "ü"}"#,
            r#"{"a": 1, "a": 2}"#,
            r#"[{"a": 1, "b": {"c": 1, "c": 2}}]"#,
            "[1, 2",
        ] {
            let by_yaml = yaml::data("data.yaml".to_owned(), text.to_owned());
            let by_yaml = by_yaml.map(|file| plain(&file.data)).ok();
            assert_eq!(super::data(text).as_ref().map(plain), by_yaml, "{text}");
        }
    }

    #[test]
    fn places() {
        let text = "[\n  {\"template\": \"one\",\n   \"id\": \"x\"}\n]";
        let data = super::data(text).unwrap();
        let shown = |(start, length): (usize, usize)| &text[start..start + length];
        let DataValue::List(entries) = &data.value else {
            panic!("a list")
        };
        assert_eq!(shown(entries[0].span), "{\"template\": \"one\",");
        let DataValue::Map(members) = &entries[0].value else {
            panic!("a map")
        };
        let (name, at, id) = &members[1];
        assert_eq!(
            (name.as_str(), shown(*at), shown(id.span)),
            ("id", "\"id\"", "\"x\"")
        );
    }

    #[test]
    fn what_is_not_json_is_left_to_the_reader_of_yaml() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        for text in ["a: 1", "[a, b]", "{\"a\": 1,}", "# a comment\n[]", "", &deep] {
            assert!(super::data(text).is_none(), "{text}");
        }
    }
}
