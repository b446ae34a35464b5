//! Entity uids as people write them: `User::"main/alice"`.

use std::collections::HashMap;
use std::fmt::Write as _;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

use super::data::{Data, DataValue};
use crate::problem::did_you_mean;

/// Appends a uid as it prints. Cedar looks at each character of an id whether it prints; nearly all are plain.
pub fn append_uid(uid: &EntityUid, out: &mut String) {
    let id = uid.id().unescaped();
    let odd = |byte: u8| !(0x20..0x7F).contains(&byte) | matches!(byte, b'"' | b'\'' | b'\\');
    // Writing to memory does not fail.
    if id.bytes().fold(false, |found, byte| found | odd(byte)) {
        let _ = write!(out, "{uid}");
    } else {
        let _ = write!(out, "{}", uid.type_name());
        out.push_str("::\"");
        out.push_str(id);
        out.push('"');
    }
}

/// Reads uids, fast for many of few types.
pub(super) struct Uids {
    types: HashMap<String, EntityTypeName>,
}

impl Uids {
    /// For the types that the schema declares.
    pub(super) fn new(schema: &Schema) -> Self {
        let types = schema.entity_types();
        Self {
            types: types.map(|kind| (kind.to_string(), kind.clone())).collect(),
        }
    }

    /// Reads `User::"main/alice"`.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn read(&self, text: &str) -> Result<EntityUid, (String, String)> {
        if let Some((kind, id)) = text.split_once("::\"")
            && let Some(id) = id.strip_suffix('"')
            && !id.contains(['"', '\\'])
        {
            return self.uid(kind, id);
        }
        // With escapes, or wrong.
        match text.parse::<EntityUid>() {
            Ok(uid) => self.uid(&uid.type_name().to_string(), uid.id().unescaped()),
            Err(_) => Err((
                format!("`{text}` names no entity"),
                "for example `User::\"main/alice\"`: type, two colons, and the id in double quotes"
                    .to_owned(),
            )),
        }
    }

    /// Reads a uid as Cedar's JSON has it, `{type: User, id: main/alice}`, or as [`Uids::read`] does.
    ///
    /// # Errors
    /// As there.
    pub(super) fn read_data(&self, data: &Data) -> Result<EntityUid, (String, String)> {
        let inner = data.get("__entity").unwrap_or(data);
        let member = |name| inner.get(name).and_then(Data::text);
        match (&data.value, member("type"), member("id")) {
            (DataValue::Map(_), Some(kind), Some(id)) => self.uid(kind, id),
            _ => match data.text() {
                Some(text) => self.read(text),
                None => Err((
                    "this names no entity".to_owned(),
                    "for example `{type: User, id: main/alice}` or `User::\"main/alice\"`".to_owned(),
                )),
            },
        }
    }

    fn uid(&self, kind: &str, id: &str) -> Result<EntityUid, (String, String)> {
        let Some(kind) = self.types.get(kind) else {
            let mut names: Vec<&str> = self.types.keys().map(String::as_str).collect();
            names.sort_unstable();
            let help = match did_you_mean(kind, names.iter().copied()) {
                help if help.is_empty() => format!("declared are {}", names.join(", ")),
                help => help,
            };
            return Err((format!("no schema file declares the entity type `{kind}`"), help));
        };
        Ok(EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_written_as_they_print() {
        for kind in ["User", "Ns::Sub::Path"] {
            for id in [
                "main/alice",
                "",
                "a b",
                "it's",
                "\"",
                "a\\b",
                "\n",
                "\u{7f}",
                "ü",
                "\u{202e}",
                "a\0",
            ] {
                let uid = EntityUid::from_type_name_and_id(kind.parse().unwrap(), EntityId::new(id));
                let mut written = String::new();
                append_uid(&uid, &mut written);
                assert_eq!(written, uid.to_string());
            }
        }
    }
}
