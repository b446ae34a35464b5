//! Why a request target has no canonical path.

use std::fmt;

use super::characters::Class;

/// The reason a target was refused. Its text is for the log: plain ASCII in one line, whatever the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRefusal {
    /// There is no target.
    Empty,
    /// `*`, which asks about the server and not about a resource (RFC 9112 section 3.2.4).
    AsteriskForm,
    /// A whole URI (RFC 9112 section 3.2.2).
    AbsoluteForm,
    /// `host:port`, as in CONNECT (RFC 9112 section 3.2.3).
    AuthorityForm,
    /// Something else that does not begin with a slash.
    NotOriginForm,
    /// A path of more than 8 KiB, as sent or in canonical form.
    TooLong,
    /// A query of more than 16 KiB.
    QueryTooLong,
    /// More than 256 segments.
    TooManySegments,
    /// A `#`, in the path or in the query.
    Fragment,
    /// A raw `\`, a separator for some.
    Backslash,
    /// A raw `;`, where some let a path parameter begin.
    Semicolon,
    /// A `%` in a path that is already decoded: a second layer of encoding.
    Percent,
    /// A raw byte that no path has: a control, DEL, and in a path as sent a blank or a non-ASCII byte.
    Byte(u8),
    /// The same in the query.
    QueryByte(u8),
    /// A visible character that RFC 3986 wants encoded and that came raw.
    NotEncoded(u8),
    /// A `%` without two hexadecimal digits.
    BadEscape,
    /// An escape that stands for a separator, a delimiter, a `%` or a control.
    Escaped(u8),
    /// The decoded bytes are not UTF-8.
    NotUtf8,
    /// A character that cannot be seen: a control, format character, separator, filler or variation selector.
    Invisible(char),
    /// A character that looks like, or in some code page becomes, a slash, backslash or dot.
    Lookalike(char),
    /// A character of which compatibility normalisation or a change of case makes ASCII.
    FoldsToAscii(char),
    /// A code point that is unassigned, for private use or no character.
    Unassigned(char),
    /// Two slashes in a row.
    EmptySegment,
    /// A segment of nothing but dots.
    DotSegment,
    /// A segment that ends with a dot.
    TrailingDot,
    /// A segment that begins or ends with a blank.
    EdgeBlank,
}

impl PathRefusal {
    /// Why a target that does not begin with a slash is none. A guess at what it was meant to be: refused in any case.
    pub(super) fn of_form(target: &[u8]) -> Self {
        let mut by_first_colon = target.splitn(2, |&byte| byte == b':').skip(1);
        let mut by_last_colon = target.rsplitn(2, |&byte| byte == b':');
        let port = by_last_colon.next().unwrap_or_default();
        let host = by_last_colon.next().unwrap_or(b"/");
        match target {
            b"" => Self::Empty,
            b"*" => Self::AsteriskForm,
            _ if by_first_colon.any(|rest| rest.starts_with(b"//")) => Self::AbsoluteForm,
            _ if !port.is_empty() && port.iter().all(u8::is_ascii_digit) && !host.contains(&b'/') => {
                Self::AuthorityForm
            }
            _ => Self::NotOriginForm,
        }
    }

    /// Why a raw byte of a class that may not stand for itself is refused.
    pub(super) fn of_byte(byte: u8, class: Class) -> Self {
        match (class, byte) {
            (Class::Percent, _) => Self::Percent,
            (Class::Encoded, _) => Self::NotEncoded(byte),
            (_, b'\\') => Self::Backslash,
            (_, b';') => Self::Semicolon,
            (_, b'#') => Self::Fragment,
            _ => Self::Byte(byte),
        }
    }
}

impl fmt::Display for PathRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = |c: char| u32::from(c);
        match *self {
            Self::Empty => write!(f, "the request has no target"),
            Self::AsteriskForm => write!(f, "the target is *, not a path"),
            Self::AbsoluteForm => write!(f, "the target is a whole URI, not a path"),
            Self::AuthorityForm => write!(f, "the target is a host with a port, not a path"),
            Self::NotOriginForm => write!(f, "the target does not begin with a slash"),
            Self::TooLong => write!(f, "the path is longer than 8 KiB"),
            Self::QueryTooLong => write!(f, "the query is longer than 16 KiB"),
            Self::TooManySegments => write!(f, "the path has more than 256 segments"),
            Self::Fragment => write!(f, "the target has a fragment"),
            Self::Backslash => write!(f, "the path has a backslash"),
            Self::Semicolon => write!(f, "the path has a semicolon"),
            Self::Percent => write!(f, "the decoded path still has a percent sign"),
            Self::Byte(b) => write!(f, "the path has the raw byte 0x{b:02X}"),
            Self::QueryByte(b) => write!(f, "the query has the raw byte 0x{b:02X}"),
            Self::NotEncoded(b) => write!(f, "the path has the raw byte 0x{b:02X}, which must come encoded"),
            Self::BadEscape => write!(f, "the path has a % without two hexadecimal digits"),
            Self::Escaped(b) => write!(
                f,
                "the path has the escape %{b:02X}, which could change its structure"
            ),
            Self::NotUtf8 => write!(f, "the decoded path is not UTF-8"),
            Self::Invisible(c) => write!(f, "the path has the invisible character U+{:04X}", code(c)),
            Self::Lookalike(c) => {
                write!(
                    f,
                    "the path has U+{:04X}, which can be taken for a slash, backslash or dot",
                    code(c)
                )
            }
            Self::FoldsToAscii(c) => write!(
                f,
                "the path has U+{:04X}, which can be turned into ASCII",
                code(c)
            ),
            Self::Unassigned(c) => write!(f, "the path has U+{:04X}, which is no public character", code(c)),
            Self::EmptySegment => write!(f, "the path has an empty segment"),
            Self::DotSegment => write!(f, "the path has a segment of nothing but dots"),
            Self::TrailingDot => write!(f, "the path has a segment that ends with a dot"),
            Self::EdgeBlank => write!(f, "the path has a segment that begins or ends with a blank"),
        }
    }
}
