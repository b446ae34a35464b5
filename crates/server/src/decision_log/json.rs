//! JSON as `serde_json` writes it, in a third of the time for what records are: short texts with nothing to escape in them.

use std::io::Write as _;

use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer,
};
use serde_json::Error;

/// Appends a value.
///
/// # Errors
/// The value has something that no record has, such as bytes. Part of it may have been written.
pub(super) fn append(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Error> {
    value.serialize(&mut Json(out))
}

struct Json<'o>(&'o mut Vec<u8>);

/// A list or an object that is being written.
struct Entries<'j, 'o> {
    json: &'j mut Json<'o>,
    first: bool,
    end: u8,
}

impl Json<'_> {
    fn text(&mut self, text: &str) -> Result<(), Error> {
        self.0.push(b'"');
        if is_escaped(text.as_bytes()) {
            self.escaped(text.as_bytes());
        } else {
            self.0.extend_from_slice(text.as_bytes());
        }
        self.0.push(b'"');
        Ok(())
    }

    /// Runs of what stands as it is, and what does not in between.
    fn escaped(&mut self, mut text: &[u8]) {
        while let Some(at) = text.iter().position(|byte| escape(*byte).is_some()) {
            let (plain, rest) = text.split_at(at);
            self.0.extend_from_slice(plain);
            let Some((byte, rest)) = rest.split_first() else {
                return;
            };
            match escape(*byte) {
                Some(b'u') => {
                    let _ = write!(self.0, "\\u{byte:04x}");
                }
                Some(short) => self.0.extend_from_slice(&[b'\\', short]),
                None => self.0.push(*byte),
            }
            text = rest;
        }
        self.0.extend_from_slice(text);
    }
}

/// How JSON writes bytes that it escapes (RFC 8259 section 7).
fn escape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..0x20 => b'u',
        _ => return None,
    })
}

/// Whether JSON writes some of the bytes as something else: control characters, quotes and backslashes.
fn is_escaped(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let last = text.last_chunk::<8>().copied().unwrap_or_else(|| {
        let mut last = [b' '; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        last
    });
    // Eight bytes at a time: the highest bit of a byte is set where it is less than another, or equal to it.
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let is_less = |word: u64, than: u8| word.wrapping_sub(each(than)) & !word & each(0x80);
    let found = words.iter().chain([&last]).fold(0, |found, word| {
        let word = u64::from_ne_bytes(*word);
        let (quote, backslash) = (word ^ each(b'"'), word ^ each(b'\\'));
        found | is_less(word, 0x20) | is_less(quote, 1) | is_less(backslash, 1)
    });
    found != 0
}

impl<'j, 'o> Entries<'j, 'o> {
    fn begin(json: &'j mut Json<'o>, begin: u8, end: u8) -> Self {
        json.0.push(begin);
        Self {
            json,
            first: true,
            end,
        }
    }

    fn next(&mut self) -> &mut Json<'o> {
        if !std::mem::take(&mut self.first) {
            self.json.0.push(b',');
        }
        self.json
    }

    /// A member by a name in the code, in which nothing is escaped.
    fn member<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        debug_assert!(!is_escaped(name.as_bytes()), "{name}");
        let json = self.next();
        json.0.push(b'"');
        json.0.extend_from_slice(name.as_bytes());
        json.0.extend_from_slice(b"\":");
        value.serialize(json)
    }

    fn finish(self) -> Result<(), Error> {
        self.json.0.push(self.end);
        Ok(())
    }
}

/// Numbers are written as they print.
macro_rules! numbers {
    ($($method:ident: $number:ty),*) => {$(
        fn $method(self, value: $number) -> Result<(), Error> {
            write!(self.0, "{value}").map_err(Error::io)
        }
    )*};
}

impl<'j, 'o> Serializer for &'j mut Json<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Entries<'j, 'o>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Entries<'j, 'o>;
    type SerializeStruct = Entries<'j, 'o>;
    type SerializeStructVariant = Impossible<(), Error>;

    numbers!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        serde_json::to_writer(&mut *self.0, &value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        serde_json::to_writer(&mut *self.0, &value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(unknown())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut object = Entries::begin(self, b'{', b'}');
        object.member(variant, value)?;
        object.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Entries<'j, 'o>, Error> {
        Ok(Entries::begin(self, b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unknown())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unknown())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unknown())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'j, 'o>, Error> {
        Ok(Entries::begin(self, b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'j, 'o>, Error> {
        Ok(Entries::begin(self, b'{', b'}'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unknown())
    }
}

fn unknown() -> Error {
    Error::custom("no record has such a value")
}

impl SerializeSeq for Entries<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(self.next())
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl SerializeStruct for Entries<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl SerializeMap for Entries<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        // Keys of records are texts.
        key.serialize(self.next())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.json.0.push(b':');
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::json;

    #[derive(Serialize)]
    struct Sample<'a> {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        none: Option<u16>,
        some: Option<f64>,
        list: Vec<&'a str>,
        number: i64,
        #[serde(flatten)]
        more: More<'a>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        OneWord,
        WithValue(bool),
    }

    #[derive(Serialize)]
    struct More<'a> {
        method: &'a str,
        kinds: Vec<Kind>,
        value: serde_json::Value,
    }

    #[test]
    fn what_is_escaped_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut text = [b'a'; 20];
                text[place] = byte;
                let escaped = byte < 0x20 || byte == b'"' || byte == b'\\';
                // A byte above may be taken for one after a borrow; then it is only written the slower way.
                assert!(super::is_escaped(&text) || !escaped, "{byte} at {place}");
                assert!(!super::is_escaped(&text) || escaped, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn each_character_is_escaped_as_serde_json_does() {
        for character in (0..=0x7F_u8).map(char::from).chain(['ü', '\u{2028}', '😀']) {
            for text in [
                format!("{character}"),
                format!("plain {character}{character} and more"),
            ] {
                let mut written = Vec::new();
                super::append(&text, &mut written).unwrap();
                assert_eq!(
                    String::from_utf8(written).unwrap(),
                    serde_json::to_string(&text).unwrap()
                );
            }
        }
    }

    #[test]
    fn it_is_what_serde_json_writes() {
        for text in [
            "",
            "plain",
            "a \"quote\"",
            "a\\b",
            "\u{0}\u{1f}\n\t\u{7f}",
            "ü€😀",
            "a/b?c=d",
        ] {
            let sample = Sample {
                text,
                none: None,
                some: Some(1.5),
                list: vec![text, "b"],
                number: -2,
                more: More {
                    method: text,
                    kinds: vec![Kind::OneWord, Kind::WithValue(true)],
                    value: json!({"a": [1, null, {}], text: text}),
                },
            };
            let mut written = Vec::new();
            super::append(&sample, &mut written).unwrap();
            assert_eq!(
                String::from_utf8(written).unwrap(),
                serde_json::to_string(&sample).unwrap()
            );
        }
    }
}
