//! The protobuf wire format, as far as one contract needs it: a borrowed reader and an appending writer.
//!
//! Written out because a generated decoder turns a header that is not UTF-8 into a failed call (and a failed call may
//! pass, see CVE-2023-27488), and because it allocates once per string. The generated code is the reference that the
//! tests compare with. Encoding rules: <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

use smallvec::SmallVec;

/// One field: its number and its value.
pub(crate) type Field<'a> = (u32, Value<'a>);

/// A value as the wire types tell them apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    /// Wire type 0: integers, booleans, enums.
    Varint(u64),
    /// Wire type 2: strings, bytes, messages, maps' entries.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5, which none of our fields has.
    Fixed,
}

impl<'a> Value<'a> {
    /// The value of a string, bytes or message field.
    pub(crate) fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(WireError::Type),
        }
    }

    /// The value of an integer field.
    pub(crate) fn varint(self) -> Result<u64, WireError> {
        match self {
            Self::Varint(value) => Ok(value),
            Self::Bytes(_) | Self::Fixed => Err(WireError::Type),
        }
    }
}

/// Why bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    /// The message ends in the middle of a field.
    Truncated,
    /// A varint beyond 64 bits.
    Varint,
    /// A key beyond 32 bits, field number 0, or a wire type that proto3 does not use (groups).
    Key(u64),
    /// A field that we read has a value of another wire type.
    Type,
    /// A map entry with two keys or two values, which nobody writes and parsers read differently.
    Entry,
}

/// The fields of a message, in wire order; ends after the first error.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (next, rest) = match field(self.0) {
            Ok((field, rest)) => (Ok(field), rest),
            Err(error) => (Err(error), &[][..]),
        };
        self.0 = rest;
        Some(next)
    }
}

#[inline]
fn field(bytes: &[u8]) -> Result<(Field<'_>, &[u8]), WireError> {
    let (key, rest) = varint(bytes)?;
    let number = u32::try_from(key).map_err(|_| WireError::Key(key))? >> 3;
    if number == 0 {
        return Err(WireError::Key(key));
    }
    let (value, rest) = match key & 7 {
        0 => {
            let (value, rest) = varint(rest)?;
            (Value::Varint(value), rest)
        }
        1 => (Value::Fixed, rest.get(8..).ok_or(WireError::Truncated)?),
        2 => {
            let (length, rest) = varint(rest)?;
            let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
            let (value, rest) = rest.split_at_checked(length).ok_or(WireError::Truncated)?;
            (Value::Bytes(value), rest)
        }
        5 => (Value::Fixed, rest.get(4..).ok_or(WireError::Truncated)?),
        _ => return Err(WireError::Key(key)),
    };
    Ok(((number, value), rest))
}

#[inline]
fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), WireError> {
    match bytes {
        [byte @ ..0x80, rest @ ..] => Ok((u64::from(*byte), rest)),
        [low, high @ ..0x80, rest @ ..] => Ok((u64::from(low & 0x7F) | u64::from(*high) << 7, rest)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), WireError> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            // The tenth byte has room for one bit.
            if index == 9 && *byte > 1 {
                return Err(WireError::Varint);
            }
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(if bytes.len() < 10 {
        WireError::Truncated
    } else {
        WireError::Varint
    })
}

/// Calls `read` with every field of `message`, in wire order, until the first error.
#[inline]
pub(crate) fn each<'a>(
    mut message: &'a [u8],
    mut read: impl FnMut(Field<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    while !message.is_empty() {
        let (field, rest) = field(message)?;
        read(field)?;
        message = rest;
    }
    Ok(())
}

/// The entry of a map, `{key = 1, value = 2}`; either may be missing and is then empty.
pub(crate) fn entry(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut key, mut value) = (None, None);
    each(message, |(number, part)| {
        let place = match number {
            1 => &mut key,
            2 => &mut value,
            _ => return Ok(()),
        };
        match place.replace(part.bytes()?) {
            None => Ok(()),
            Some(_) => Err(WireError::Entry),
        }
    })?;
    Ok((key.unwrap_or_default(), value.unwrap_or_default()))
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the message ends in the middle of a field"),
            Self::Varint => write!(f, "a number in the message is longer than numbers can be"),
            Self::Key(key) => write!(f, "the message has the impossible field key {key}"),
            Self::Type => write!(
                f,
                "a field has a value of another type than the message definition says"
            ),
            Self::Entry => write!(f, "an entry of a map has more than one key or value"),
        }
    }
}

/// Appends fields to a buffer. Empty strings and zeros are written too: the caller decides what is worth writing.
pub(crate) trait Put {
    /// A varint field.
    fn put_varint(&mut self, number: u32, value: u64);
    /// A string or bytes field.
    fn put_bytes(&mut self, number: u32, value: &[u8]);
    /// A message field whose content `fill` appends.
    fn put_message(&mut self, number: u32, fill: impl FnOnce(&mut Self));
}

impl Put for Vec<u8> {
    fn put_varint(&mut self, number: u32, value: u64) {
        raw_varint(self, u64::from(number) << 3);
        raw_varint(self, value);
    }

    fn put_bytes(&mut self, number: u32, value: &[u8]) {
        raw_varint(self, u64::from(number) << 3 | 2);
        raw_varint(self, value.len() as u64);
        self.extend_from_slice(value);
    }

    fn put_message(&mut self, number: u32, fill: impl FnOnce(&mut Self)) {
        raw_varint(self, u64::from(number) << 3 | 2);
        let place = self.len();
        // The length belongs in front of what comes now, and most have one of one byte.
        self.push(0);
        fill(self);
        let end = self.len();
        let length = end - place - 1;
        let mut written = SmallVec::<[u8; 10]>::new();
        raw_varint(&mut written, length as u64);
        if written.len() > 1 {
            self.resize(end + written.len() - 1, 0);
            self.copy_within(place + 1..end, place + written.len());
        }
        self.iter_mut()
            .skip(place)
            .zip(written)
            .for_each(|(to, from)| *to = from);
    }
}

fn raw_varint(buffer: &mut impl Extend<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.extend([(value & 0x7F) as u8 | 0x80]);
        value >>= 7;
    }
    buffer.extend([value as u8]);
}

#[cfg(test)]
mod tests;
