//! Strings out of filter metadata.

use std::collections::BTreeMap;

use proto::google::protobuf::{ListValue, Struct, Value, value::Kind};

use super::*;
use crate::wire::Put;

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Struct {
    Struct {
        fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}

fn with_metadata(namespaces: BTreeMap<String, Struct>) -> Vec<u8> {
    edited(|attributes| {
        attributes.metadata_context = Some(core::Metadata {
            filter_metadata: namespaces,
        });
    })
}

fn path(path: &str) -> Vec<Box<str>> {
    path.split('.')
        .filter(|name| *name != "(none)")
        .map(Into::into)
        .collect()
}

#[test]
fn strings_are_found_where_they_are() {
    let text = |text: &str| value(Kind::StringValue(text.into()));
    let claims = fields([
        ("sub", text("alice")),
        ("empty", text("")),
        ("", text("no name")),
        ("number", value(Kind::NumberValue(1.5))),
        ("zero", value(Kind::NumberValue(0.0))),
        ("null", value(Kind::NullValue(0))),
        ("bool", value(Kind::BoolValue(true))),
        (
            "list",
            value(Kind::ListValue(ListValue {
                values: vec![text("in a list")],
            })),
        ),
        ("none", Value { kind: None }),
        (
            "act",
            value(Kind::StructValue(fields([
                ("sub", text("\u{e9}")),
                ("act", value(Kind::StructValue(fields([])))),
            ]))),
        ),
    ]);
    let bytes = with_metadata([("jwt".to_owned(), claims), ("bare".to_owned(), fields([]))].into());
    for (namespace, at, expected) in [
        ("jwt", "sub", Some("alice")),
        ("jwt", "empty", Some("")),
        ("jwt", "", Some("no name")),
        ("jwt", "act.sub", Some("\u{e9}")),
        ("jwt", "act", None),
        ("jwt", "act.act", None),
        ("jwt", "act.act.sub", None),
        ("jwt", "sub.sub", None),
        ("jwt", "Sub", None),
        ("jwt", "number", None),
        ("jwt", "zero", None),
        ("jwt", "null", None),
        ("jwt", "bool", None),
        ("jwt", "list", None),
        ("jwt", "list.0", None),
        ("jwt", "none", None),
        ("jwt", "(none)", None),
        ("bare", "sub", None),
        ("other", "sub", None),
        ("", "sub", None),
    ] {
        let found = with_check(&bytes, |check| check.metadata.string(namespace, &path(at)));
        assert_eq!(found.as_deref(), expected, "{namespace} {at}");
    }
}

/// A request whose metadata has one namespace, `ns`, with these bytes as its Struct.
fn raw(structure: &[u8]) -> Vec<u8> {
    let mut bytes = sample().encode_to_vec();
    bytes.put_message(1, |attributes| {
        attributes.put_message(11, |metadata| namespace(metadata, structure));
    });
    bytes
}

fn namespace(metadata: &mut Vec<u8>, structure: &[u8]) {
    metadata.put_message(1, |entry| {
        entry.put_bytes(1, b"ns");
        entry.put_bytes(2, structure);
    });
}

fn member(name: &str, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut structure = Vec::new();
    structure.put_message(1, |entry| {
        entry.put_bytes(1, name.as_bytes());
        entry.put_message(2, fill);
    });
    structure
}

#[test]
fn broken_metadata_has_no_strings_and_breaks_nothing_else() {
    let good = |text: &'static str| member("a", move |value| value.put_bytes(3, text.as_bytes()));
    for (name, structure, expected) in [
        ("good", good("x"), Some("x")),
        (
            "the last of two members",
            [good("x"), good("y")].concat(),
            Some("y"),
        ),
        (
            "unknown fields",
            member("a", |value| {
                value.put_varint(9, 1);
                value.put_bytes(3, b"x");
                value.put_varint(9, 1);
            }),
            Some("x"),
        ),
        (
            "two kinds",
            member("a", |value| {
                value.put_bytes(3, b"x");
                value.put_varint(4, 1);
            }),
            None,
        ),
        (
            "two strings",
            member("a", |value| {
                value.put_bytes(3, b"x");
                value.put_bytes(3, b"y");
            }),
            None,
        ),
        (
            "not UTF-8",
            member("a", |value| value.put_bytes(3, b"\xff")),
            None,
        ),
        (
            "a string as a number",
            member("a", |value| value.put_varint(3, 1)),
            None,
        ),
        (
            "half a value",
            member("a", |value| value.extend_from_slice(b"\x1a\x05x")),
            None,
        ),
        ("half a struct behind it", [good("x"), vec![0x0A]].concat(), None),
        (
            "a member as a number",
            [good("x"), vec![0x08, 0x01]].concat(),
            None,
        ),
        ("no struct", b"\xff\xff".to_vec(), None),
        ("nothing", Vec::new(), None),
    ] {
        let bytes = raw(&structure);
        let found = with_check(&bytes, |check| check.metadata.string("ns", &path("a")));
        assert_eq!(found.as_deref(), expected, "{name}");
    }
}

#[test]
fn of_two_namespaces_with_one_name_the_last_counts() {
    let mut bytes = raw(&member("a", |value| value.put_bytes(3, b"first")));
    bytes.put_message(1, |attributes| {
        attributes.put_message(11, |metadata| {
            namespace(metadata, &member("a", |value| value.put_bytes(3, b"last")))
        });
    });
    let found = with_check(&bytes, |check| check.metadata.string("ns", &path("a")));
    assert_eq!(found.as_deref(), Some("last"));
}

#[test]
fn depth_costs_nothing_until_somebody_asks_for_it() {
    let mut structure = member("a", |value| value.put_bytes(3, b"bottom"));
    for _ in 0..10_000 {
        structure = member("a", |value| value.put_bytes(5, &structure));
    }
    let bytes = raw(&structure);
    for (depth, expected) in [
        (1, None),
        (3, None),
        (10_000, None),
        (10_001, Some("bottom")),
        (10_002, None),
    ] {
        let path = vec!["a".into(); depth];
        let found = with_check(&bytes, |check| check.metadata.string("ns", &path));
        assert_eq!(found.as_deref(), expected, "{depth}");
    }
}
