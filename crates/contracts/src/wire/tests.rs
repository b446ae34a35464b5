use proptest::prelude::*;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, decode_key, decode_varint, encode_varint, skip_field};

use super::*;

fn check_fields(bytes: &[u8], expected: Result<&str, WireError>) {
    let read: Result<Vec<_>, _> = Fields::of(bytes).collect();
    let shown = read.map(|fields| {
        let fields = fields.iter().map(|(number, value)| match value {
            Value::Varint(value) => format!("{number}={value}"),
            Value::Bytes(bytes) => format!("{number}={:?}", bytes.escape_ascii().to_string()),
            Value::Fixed => format!("{number}=fixed"),
        });
        fields.collect::<Vec<_>>().join(" ")
    });
    assert_eq!(shown, expected.map(str::to_owned), "{}", bytes.escape_ascii());
}

#[test]
fn fields_are_read_or_refused() {
    use WireError::{Key, Truncated, Varint};
    for (bytes, expected) in [
        (&b""[..], Ok("")),
        (b"\x08\x00", Ok("1=0")),
        (b"\x08\x96\x01", Ok("1=150")),
        (b"\x08\x80\x80\x00", Ok("1=0")),
        (
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            Ok("1=18446744073709551615"),
        ),
        (b"\x88\x00\x01", Ok("1=1")),
        (b"\x12\x00\x12\x02hi", Ok(r#"2="" 2="hi""#)),
        (
            b"\x09\0\0\0\0\0\0\0\0\x0d\0\0\0\0\x08\x01",
            Ok("1=fixed 1=fixed 1=1"),
        ),
        (b"\xf8\xff\xff\xff\x0f\x07", Ok("536870911=7")),
        // Cut off: in the key, the number, the length, the bytes, the fixed values.
        (b"\x80", Err(Truncated)),
        (b"\x08", Err(Truncated)),
        (b"\x08\xff", Err(Truncated)),
        (b"\x12", Err(Truncated)),
        (b"\x12\x03hi", Err(Truncated)),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Err(Truncated)),
        (b"\x09\0\0\0\0\0\0\0", Err(Truncated)),
        (b"\x0d\0\0\0", Err(Truncated)),
        // Beyond 64 bits.
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Err(Varint)),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Err(Varint)),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", Err(Varint)),
        // Keys: field 0, groups, unassigned wire types, beyond 32 bits.
        (b"\x00\x00", Err(Key(0))),
        (b"\x02\x00", Err(Key(2))),
        (b"\x0b\x0c", Err(Key(0x0B))),
        (b"\x0c", Err(Key(0x0C))),
        (b"\x0e", Err(Key(0x0E))),
        (b"\x0f", Err(Key(0x0F))),
        (b"\x88\x80\x80\x80\x10\x01", Err(Key(0x1_0000_0008))),
        (b"\x88\x80\x80\x80\x80\x01\x01", Err(Key(0x8_0000_0008))),
        // What came before an error does not make it good.
        (b"\x08\x01\x08", Err(Truncated)),
    ] {
        check_fields(bytes, expected);
    }
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let mut fields = Fields::of(b"\x08\x01\x0f\x08\x01");
    assert!(fields.next().is_some_and(|field| field.is_ok()));
    assert!(fields.next().is_some_and(|field| field.is_err()));
    assert!(fields.next().is_none());
}

#[test]
fn map_entries_have_one_key_and_one_value() {
    for (bytes, expected) in [
        (&b"\x0a\x01k\x12\x01v"[..], Ok((&b"k"[..], &b"v"[..]))),
        (b"\x12\x01v\x0a\x01k", Ok((b"k", b"v"))),
        (b"\x12\x01v", Ok((b"", b"v"))),
        (b"\x0a\x01k", Ok((b"k", b""))),
        (b"", Ok((b"", b""))),
        (b"\x0a\x01k\x18\x05\x12\x01v", Ok((b"k", b"v"))),
        (b"\x0a\x01k\x0a\x01k", Err(WireError::Entry)),
        (b"\x0a\x01k\x12\x00\x12\x01v", Err(WireError::Entry)),
        (b"\x08\x01", Err(WireError::Type)),
        (b"\x0a\x01k\x15\0\0\0\0", Err(WireError::Type)),
        (b"\x0a\x02k", Err(WireError::Truncated)),
    ] {
        assert_eq!(entry(bytes), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn messages_get_their_length_in_front() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
        let content = vec![b'x'; length];
        let mut written = b"before".to_vec();
        written.put_message(3, |message| {
            message.put_message(1, |inner| inner.extend_from_slice(&content))
        });
        let mut outer = Fields::of(written.strip_prefix(b"before").unwrap());
        let (number, value) = outer.next().unwrap().unwrap();
        let (inner_number, inner) = Fields::of(value.bytes().unwrap()).next().unwrap().unwrap();
        assert_eq!((number, inner_number), (3, 1), "{length}");
        assert_eq!(inner.bytes().unwrap().len(), length);
        assert!(outer.next().is_none(), "{length}");
    }
}

/// The fields as prost's own functions see them: number, wire type, and the bytes behind the key.
fn fields_of_prost(mut bytes: &[u8]) -> Option<Vec<(u32, usize)>> {
    let mut fields = Vec::new();
    while bytes.has_remaining() {
        let (number, wire_type) = decode_key(&mut bytes).ok()?;
        let before = bytes.remaining();
        skip_field(wire_type, number, &mut bytes, DecodeContext::default()).ok()?;
        fields.push((number, before - bytes.remaining()));
    }
    Some(fields)
}

fn fields_of_ours(bytes: &[u8]) -> Result<Vec<(u32, usize)>, WireError> {
    let mut rest = bytes;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (_, behind_key) = varint(rest)?;
        let ((number, _), behind_field) = field(rest)?;
        fields.push((number, behind_key.len() - behind_field.len()));
        rest = behind_field;
    }
    Ok(fields)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn varints_are_those_of_prost(value: u64, junk in proptest::collection::vec(any::<u8>(), 0..12)) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        raw_varint(&mut ours, value);
        encode_varint(value, &mut theirs);
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(varint(&ours), Ok((value, &[][..])));

        let mut rest = &junk[..];
        let theirs = decode_varint(&mut rest).ok().map(|value| (value, rest));
        prop_assert_eq!(varint(&junk).ok(), theirs);
    }

    #[test]
    fn fields_are_those_of_prost(junk in proptest::collection::vec(
        prop_oneof![any::<u8>(), 0_u8..0x1A, Just(0x80)], 0..40
    )) {
        match (fields_of_ours(&junk), fields_of_prost(&junk)) {
            (Ok(ours), theirs) => prop_assert_eq!(Some(ours), theirs),
            // Groups left the language with proto3; prost still skips them.
            (Err(WireError::Key(key)), _) if key & 7 == 3 => {}
            (Err(_), theirs) => prop_assert_eq!(theirs, None),
        }
    }
}
