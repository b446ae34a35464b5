//! A string out of a `google.protobuf.Struct` that stays encoded: only what lies on the path is looked at.

use crate::wire::{Fields, entry};

/// The string at `path` inside the encoded Struct `message`; `None` if there is none, or if what lies on the path is
/// broken. As deep as `path`, however deep the message is.
pub(super) fn string(message: &[u8], path: &[Box<str>]) -> Option<String> {
    let (last, parents) = path.split_last()?;
    let mut message = message;
    for name in parents {
        message = kind(member(message, name)?, STRUCT_VALUE)?;
    }
    let string = kind(member(message, last)?, STRING_VALUE)?;
    Some(std::str::from_utf8(string).ok()?.to_owned())
}

const STRING_VALUE: u32 = 3;
const STRUCT_VALUE: u32 = 5;

/// Struct `{ fields = 1: map<string, Value> }`: the last entry of one key counts.
fn member<'a>(message: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    for field in Fields::of(message) {
        let (number, value) = field.ok()?;
        if number == 1 {
            let (key, value) = entry(value.bytes().ok()?).ok()?;
            if key == name.as_bytes() {
                found = Some(value);
            }
        }
    }
    found
}

/// Value, a choice of fields 1 to 6: the content of the only one that is there, if it is `wanted`.
fn kind(message: &[u8], wanted: u32) -> Option<&[u8]> {
    let mut only = None;
    for field in Fields::of(message) {
        let (number, value) = field.ok()?;
        if (1..=6).contains(&number) && only.replace((number, value)).is_some() {
            return None;
        }
    }
    let (number, value) = only?;
    if number == wanted {
        value.bytes().ok()
    } else {
        None
    }
}
