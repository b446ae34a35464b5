//! Entity uids as people write them: `User::"main/alice"`.

use std::collections::HashMap;
use std::fmt::Write as _;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

use super::data::{Data, DataValue};
use super::engine::Filled;
use crate::problem::did_you_mean;

/// Appends a uid as it prints. Cedar looks at each character of an id whether it prints; nearly all are plain.
pub fn append_uid(uid: &EntityUid, out: &mut String) {
    let id = uid.id().unescaped();
    // Writing to memory does not fail.
    if is_plain(id) {
        let _ = write!(out, "{}", uid.type_name());
        append_plain("", id, out);
    } else {
        let _ = write!(out, "{uid}");
    }
}

/// Whether an id prints as it is.
fn is_plain(id: &str) -> bool {
    let odd = |byte: u8| !(0x20..0x7F).contains(&byte) | matches!(byte, b'"' | b'\'' | b'\\');
    !id.bytes().fold(false, |found, byte| found | odd(byte))
}

fn append_plain(kind: &str, id: &str, out: &mut String) {
    for part in [kind, "::\"", id, "\""] {
        out.push_str(part);
    }
}

/// Reads uids, fast for many of few types.
pub(super) struct Uids {
    numbers: HashMap<String, u32>,
    types: Vec<(String, EntityTypeName)>,
}

impl Uids {
    /// For the types that the schema declares.
    pub(super) fn new(schema: &Schema) -> Self {
        let types = schema.entity_types().map(|kind| (kind.to_string(), kind.clone()));
        let mut types: Vec<(String, EntityTypeName)> = types.collect();
        types.sort_unstable();
        let numbers = types.iter().map(|(name, _)| name.clone()).zip(0..);
        Self {
            numbers: numbers.collect(),
            types,
        }
    }

    /// The types by their numbers.
    pub(super) fn kinds(&self) -> Vec<EntityTypeName> {
        self.types.iter().map(|(_, kind)| kind.clone()).collect()
    }

    /// Appends what [`Uids::find`] found, as [`append_uid`] does.
    pub(super) fn append(&self, found: &Filled, out: &mut String) {
        let Some((name, kind)) = self.types.get(found.kind as usize) else {
            return;
        };
        if is_plain(&found.id) {
            append_plain(name, &found.id, out);
        } else {
            let id = EntityId::new(&found.id);
            append_uid(&EntityUid::from_type_name_and_id(kind.clone(), id), out);
        }
    }

    /// Reads `User::"main/alice"`.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn read(&self, text: &str) -> Result<EntityUid, (String, String)> {
        let found = self.find(text)?;
        self.named(found.kind, &found.id)
    }

    /// The same, by the number of the type.
    ///
    /// # Errors
    /// As there.
    pub(super) fn find(&self, text: &str) -> Result<Filled, (String, String)> {
        if let Some((kind, id)) = text.split_once("::\"")
            && let Some(id) = id.strip_suffix('"')
            && !id.contains(['"', '\\'])
        {
            let kind = self.number(kind)?;
            return Ok(Filled { kind, id: id.into() });
        }
        // With escapes, or wrong.
        match text.parse::<EntityUid>() {
            Ok(uid) => Ok(Filled {
                kind: self.number(&uid.type_name().to_string())?,
                id: uid.id().unescaped().into(),
            }),
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
            (DataValue::Map(_), Some(kind), Some(id)) => self.named(self.number(kind)?, id),
            _ => match data.text() {
                Some(text) => self.read(text),
                None => Err((
                    "this names no entity".to_owned(),
                    "for example `{type: User, id: main/alice}` or `User::\"main/alice\"`".to_owned(),
                )),
            },
        }
    }

    fn number(&self, kind: &str) -> Result<u32, (String, String)> {
        self.numbers.get(kind).copied().ok_or_else(|| {
            let names = || self.types.iter().map(|(name, _)| name.as_str());
            let help = match did_you_mean(kind, names()) {
                help if help.is_empty() => format!("declared are {}", names().collect::<Vec<_>>().join(", ")),
                help => help,
            };
            (format!("no schema file declares the entity type `{kind}`"), help)
        })
    }

    fn named(&self, kind: u32, id: &str) -> Result<EntityUid, (String, String)> {
        let Some((_, kind)) = self.types.get(kind as usize) else {
            return Err((format!("there is no entity type {kind}"), String::new()));
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
