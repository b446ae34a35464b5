//! The canonical request path: the one form of it that routes and policies see (invariant I4).
//!
//! A target that two parsers could read differently has no canonical form and is refused. For the others the form is
//! a bijection to the once-decoded bytes: what RFC 3986 section 3.3 allows in a segment stands as itself, every other
//! byte as `%HH` in capitals. Nothing is resolved, merged, folded or normalised on the way: `..` and `//` are refused,
//! and names that differ only in letter case, in a trailing slash or in Unicode normalisation form are different paths.

mod characters;
mod refusal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use characters::{Class, Utf8};
pub use refusal::PathRefusal;

/// A path in its one canonical form: visible ASCII, begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath<'a>(Cow<'a, str>);

/// Whether the door hands over the target as the client sent it, or after the proxy percent-decoded the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// As sent: `%HH` is still to be decoded, once.
    Raw,
    /// The path was already decoded by the proxy (APISIX): raw UTF-8 and blanks arrive, a `%` would be a literal and
    /// is refused like `%25` is in [`Decoding::Raw`]. The query is still as sent.
    ///
    /// Such a proxy makes a `?` of the client's `%3F`; the path then ends there, and no parser can tell.
    Decoded,
}

/// The longest path, in bytes: as received and in canonical form.
const MAX_PATH: usize = 8 * 1024;
/// The longest query, in bytes. Proxies cap the whole request line at 8 to 60 KiB.
const MAX_QUERY: usize = 16 * 1024;
/// The most segments, a trailing empty one included.
const MAX_SEGMENTS: usize = 256;

impl<'a> RequestPath<'a> {
    /// Reads a request target in origin-form (RFC 9112 section 3.2.1): the path, and the query behind the first `?`.
    ///
    /// The query is returned as sent, `None` without a `?`. It is visible ASCII without `#`; its escapes are data.
    ///
    /// # Errors
    /// [`PathRefusal`] names the first thing found that makes the target ambiguous.
    pub fn parse_target(
        target: &'a [u8],
        decoding: Decoding,
    ) -> Result<(Self, Option<&'a str>), PathRefusal> {
        let mut parts = target.splitn(2, |&byte| byte == b'?');
        let path = parts.next().unwrap_or_default();
        if path.first() != Some(&b'/') {
            return Err(PathRefusal::of_form(target));
        }
        let canonical = canonical(path, decoding)?;
        let query = parts.next().map(query).transpose()?;
        Ok((Self(canonical), query))
    }

    /// The canonical path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A copy that borrows nothing.
    pub(crate) fn to_static(&self) -> RequestPath<'static> {
        RequestPath(Cow::Owned(self.0.to_string()))
    }

    /// The same, borrowed from here.
    pub(crate) fn borrowed(&self) -> RequestPath<'_> {
        RequestPath(Cow::Borrowed(&self.0))
    }

    /// The canonical segments: `"/a/b/"` gives `a`, `b`, and an empty one; `"/"` gives one empty segment.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }
}

impl fmt::Display for RequestPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One pass over the path, runs of plain bytes at a time. Nothing is allocated as long as the input is its own
/// canonical form.
fn canonical(path: &[u8], decoding: Decoding) -> Result<Cow<'_, str>, PathRefusal> {
    if path.len() > MAX_PATH {
        return Err(PathRefusal::TooLong);
    }
    let mut segments = Segments::default();
    let mut utf8 = Utf8::default();
    let mut rewritten: Option<Vec<u8>> = None;
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        let plain = rest
            .iter()
            .take_while(|&&byte| Class::of(byte) == Class::Plain)
            .count();
        if let Some((run @ [.., last], next)) = rest.split_at_checked(plain) {
            utf8.end()?;
            segments.push(*last)?;
            if let Some(text) = &mut rewritten {
                text.extend(run);
            }
            rest = next;
            continue;
        }
        let (byte, next, as_is) = match (Class::of(first), decoding) {
            (Class::Dot | Class::Slash, _) => (first, after, true),
            (Class::Percent, Decoding::Raw) => escape(after)?,
            (Class::Blank | Class::Encoded | Class::NonAscii, Decoding::Decoded) => (first, after, false),
            (class, _) => return Err(PathRefusal::of_byte(first, class)),
        };
        segments.push(byte)?;
        if !byte.is_ascii() || utf8.is_open() {
            utf8.push(byte)?;
        }
        if !as_is && rewritten.is_none() {
            let (done, _) = path.split_at_checked(path.len() - rest.len()).unwrap_or_default();
            rewritten = Some(done.to_vec());
        }
        if let Some(text) = &mut rewritten {
            match Class::of(byte) {
                Class::Plain | Class::Dot | Class::Slash => text.push(byte),
                _ => text.extend([b'%', hex_digit(byte >> 4), hex_digit(byte & 0xF)]),
            }
        }
        rest = next;
    }
    utf8.end()?;
    segments.end()?;
    match rewritten {
        // Only an already decoded path can grow. What `Raw` would refuse for its length must not pass here.
        Some(text) if text.len() > MAX_PATH => Err(PathRefusal::TooLong),
        Some(text) => String::from_utf8(text)
            .map(Cow::Owned)
            .map_err(|_| PathRefusal::NotUtf8),
        None => std::str::from_utf8(path)
            .map(Cow::Borrowed)
            .map_err(|_| PathRefusal::NotUtf8),
    }
}

/// Reads the two digits behind a `%`: the byte they stand for, what follows, and whether the escape is canonical.
fn escape(digits: &[u8]) -> Result<(u8, &[u8], bool), PathRefusal> {
    let Some((&[high, low], after)) = digits.split_first_chunk() else {
        return Err(PathRefusal::BadEscape);
    };
    let (Some(h), Some(l)) = (hex_value(high), hex_value(low)) else {
        return Err(PathRefusal::BadEscape);
    };
    let byte = h << 4 | l;
    match Class::of(byte) {
        Class::Plain | Class::Dot => Ok((byte, after, false)),
        Class::Blank | Class::Encoded | Class::NonAscii => Ok((
            byte,
            after,
            !high.is_ascii_lowercase() && !low.is_ascii_lowercase(),
        )),
        Class::Slash | Class::Percent | Class::Control | Class::Reserved => Err(PathRefusal::Escaped(byte)),
    }
}

fn query(query: &[u8]) -> Result<&str, PathRefusal> {
    if query.len() > MAX_QUERY {
        return Err(PathRefusal::QueryTooLong);
    }
    match query
        .iter()
        .find(|&&byte| byte == b'#' || !byte.is_ascii_graphic())
    {
        Some(b'#') => Err(PathRefusal::Fragment),
        Some(&byte) => Err(PathRefusal::QueryByte(byte)),
        None => std::str::from_utf8(query).map_err(|_| PathRefusal::NotUtf8),
    }
}

/// The rules about segments, over the decoded bytes. A NUL, which never gets here, stands for "nothing yet".
#[derive(Default)]
struct Segments {
    count: usize,
    last: u8,
    /// The segment has something else than dots.
    named: bool,
}

impl Segments {
    fn push(&mut self, byte: u8) -> Result<(), PathRefusal> {
        match (byte, self.last) {
            (b'/', b'/') => return Err(PathRefusal::EmptySegment),
            (b'/', _) => {
                self.end()?;
                self.named = false;
                self.count += 1;
                if self.count > MAX_SEGMENTS {
                    return Err(PathRefusal::TooManySegments);
                }
            }
            (b' ', b'/') => return Err(PathRefusal::EdgeBlank),
            (b'.', _) => {}
            _ => self.named = true,
        }
        self.last = byte;
        Ok(())
    }

    /// The end of a segment that is not an empty one between two slashes.
    fn end(&self) -> Result<(), PathRefusal> {
        match self.last {
            b'.' if self.named => Err(PathRefusal::TrailingDot),
            b'.' => Err(PathRefusal::DotSegment),
            b' ' => Err(PathRefusal::EdgeBlank),
            _ => Ok(()),
        }
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'A' - 10 + nibble
    }
}
