//! The grammar of `x-forwarded-client-cert`, Envoy's header about a client's certificate.
//!
//! An element is `key=value;key=value`, and there must be exactly one: a second, behind a comma, is what another proxy
//! (or the client) said, and which of them tells of the caller is known to nobody here. A value may be in double
//! quotes, where `\"` is a quote and `\\` a backslash; other escapes are those of the subject (RFC 4514) and stay.

/// The longest header that is looked at.
const MAX_BYTES: usize = 16 * 1024;
/// How much of an unknown key the log quotes.
const MAX_QUOTED_KEY: usize = 32;

/// What of an element can say who asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// URI SANs, without the empty one that Envoy writes where there is none.
    pub uris: Vec<String>,
    /// DNS SANs.
    pub dns_names: Vec<String>,
}

/// Why a header is not one well-formed element; continues a sentence that begins with its name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XfccRefusal {
    /// Too long to look at.
    #[error("has {0} bytes, the limit is {MAX_BYTES}; let the forwarding proxy leave out `Cert` and `Chain`")]
    TooLong(usize),
    /// Not printable ASCII.
    #[error("has the byte {0:#04x}, which is not printable ASCII")]
    Byte(u8),
    /// More than one element.
    #[error(
        "has several elements, one for each proxy on the way: let the forwarding proxy overwrite the header (Envoy: \
         SANITIZE_SET) and those behind it only pass it on (FORWARD_ONLY)"
    )]
    SeveralElements,
    /// A part without `=`.
    #[error("has a part that is not `key=value`")]
    NoValue,
    /// A key that we do not know.
    #[error("has the unknown key {0:?}")]
    UnknownKey(String),
    /// A key that must not repeat does.
    #[error("has a key twice that there can be only one of")]
    RepeatedKey,
    /// A character that must be inside quotes.
    #[error("has a blank, `\"`, `=` or `\\` in a value that is not quoted")]
    Unquoted,
    /// A quote that never ends, or is followed by something.
    #[error("has a quoted value without an end, or with something right behind it")]
    Quotes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    /// URI SAN of the proxy itself.
    By,
    Hash,
    Cert,
    Chain,
    Subject,
    Uri,
    Dns,
}

/// Reads the header.
///
/// # Errors
/// Whatever else it is than one element.
pub(super) fn parse(header: &[u8]) -> Result<Element, XfccRefusal> {
    if header.len() > MAX_BYTES {
        return Err(XfccRefusal::TooLong(header.len()));
    }
    if let Some(byte) = header.iter().find(|b| !matches!(**b, b' '..=b'~')) {
        return Err(XfccRefusal::Byte(*byte));
    }
    let mut rest = std::str::from_utf8(header).map_err(|_| XfccRefusal::Byte(0xFF))?;
    let mut element = Element::default();
    let mut once = Vec::with_capacity(4);
    loop {
        let (key, behind) = rest.split_once('=').ok_or(XfccRefusal::NoValue)?;
        let (value, behind) = value(behind)?;
        match Key::of(key)? {
            Key::By => {}
            Key::Uri if value.is_empty() => {}
            Key::Uri => element.uris.push(value),
            Key::Dns => element.dns_names.push(value),
            key if once.contains(&key) => return Err(XfccRefusal::RepeatedKey),
            key => once.push(key),
        }
        rest = match behind.strip_prefix(';') {
            Some(next) => next,
            None if behind.is_empty() => return Ok(element),
            None if behind.starts_with(',') => return Err(XfccRefusal::SeveralElements),
            None => return Err(XfccRefusal::Quotes),
        };
    }
}

/// The value at the beginning of `text`, and what is behind it.
fn value(text: &str) -> Result<(String, &str), XfccRefusal> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        if value.contains([' ', '"', '=', '\\']) {
            return Err(XfccRefusal::Unquoted);
        }
        return Ok((value.to_owned(), behind));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok((value, characters.as_str())),
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err(XfccRefusal::Quotes)
}

impl Key {
    fn of(text: &str) -> Result<Self, XfccRefusal> {
        let known = [
            ("By", Self::By),
            ("Hash", Self::Hash),
            ("Cert", Self::Cert),
            ("Chain", Self::Chain),
            ("Subject", Self::Subject),
            ("URI", Self::Uri),
            ("DNS", Self::Dns),
        ];
        known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, key)| key)
            .ok_or_else(|| XfccRefusal::UnknownKey(text.chars().take(MAX_QUOTED_KEY).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_element_is_read() {
        for (header, uris, dns_names) in [
            ("URI=spiffe://td.test/a", &["spiffe://td.test/a"][..], &[][..]),
            ("uri=a;dNs=b;DNS=c", &["a"], &["b", "c"]),
            ("By=x;By=y;Hash=0a;Subject=\"CN=a\";URI=u", &["u"], &[]),
            ("Hash=0a;Subject=\"\";URI=;DNS=b", &[], &["b"]),
            ("Hash=0a;Cert=\"-----BEGIN%20\";Chain=\"x\"", &[], &[]),
            ("URI=\"a,b;c=d\"", &["a,b;c=d"], &[]),
            ("URI=\"a\\\"b\\\\c\\,d\"", &["a\"b\\c\\,d"], &[]),
            // The end of the subject is found whatever is in it.
            ("Subject=\"CN=a\\\";URI=x\";URI=u", &["u"], &[]),
            ("Subject=\"CN=a\\\\\";URI=u", &["u"], &[]),
            ("Subject=\"O=a\\, b\\+c,CN=x;URI=y\";URI=u", &["u"], &[]),
            ("URI=a;URI=b", &["a", "b"], &[]),
        ] {
            let element = parse(header.as_bytes()).unwrap_or_else(|refusal| panic!("{header}: {refusal}"));
            assert_eq!(element.uris, uris, "{header}");
            assert_eq!(element.dns_names, dns_names, "{header}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let unknown = |key: &str| XfccRefusal::UnknownKey(key.to_owned());
        for (header, refusal) in [
            (&b""[..], XfccRefusal::NoValue),
            (b"URI", XfccRefusal::NoValue),
            (b"URI=a;", XfccRefusal::NoValue),
            (b"URI=a;;DNS=b", unknown(";DNS")),
            (b";URI=a", unknown(";URI")),
            (b"=a", unknown("")),
            (b"URI =a", unknown("URI ")),
            (b" URI=a", unknown(" URI")),
            (b"URI=a; DNS=b", unknown(" DNS")),
            (b"X=a", unknown("X")),
            (b"SAN=a", unknown("SAN")),
            (b"URI=a,URI=b", XfccRefusal::SeveralElements),
            (b"URI=a,", XfccRefusal::SeveralElements),
            (b"URI=\"a\",By=x;URI=b", XfccRefusal::SeveralElements),
            (b"URI=a, URI=b", XfccRefusal::SeveralElements),
            (b"Hash=a;Hash=b", XfccRefusal::RepeatedKey),
            (b"Subject=\"a\";subject=\"b\"", XfccRefusal::RepeatedKey),
            (b"URI=a b", XfccRefusal::Unquoted),
            (b"URI=a=b", XfccRefusal::Unquoted),
            (b"URI=a\"b\"", XfccRefusal::Unquoted),
            (b"URI=a\\;DNS=b", XfccRefusal::Unquoted),
            (b"URI=\"a", XfccRefusal::Quotes),
            (b"URI=\"a\\\"", XfccRefusal::Quotes),
            (b"URI=\"a\\", XfccRefusal::Quotes),
            (b"URI=\"a\"b", XfccRefusal::Quotes),
            (b"URI=\"a\" ;DNS=b", XfccRefusal::Quotes),
            (b"URI=a\0", XfccRefusal::Byte(0)),
            (b"URI=\"a\tb\"", XfccRefusal::Byte(b'\t')),
            (b"URI=\xc3\xa4", XfccRefusal::Byte(0xC3)),
        ] {
            assert_eq!(parse(header), Err(refusal), "{}", String::from_utf8_lossy(header));
        }
        let long = |bytes: usize| format!("URI={}", "a".repeat(bytes - 4));
        assert_eq!(parse(long(MAX_BYTES).as_bytes()).unwrap().uris.len(), 1);
        assert_eq!(
            parse(long(MAX_BYTES + 1).as_bytes()),
            Err(XfccRefusal::TooLong(MAX_BYTES + 1))
        );
        let key = parse(format!("{}=a", "k".repeat(5000)).as_bytes());
        assert_eq!(key, Err(unknown(&"k".repeat(MAX_QUOTED_KEY))));
    }
    #[test]
    fn whatever_is_sent_is_read_or_refused() {
        bolero::check!().for_each(|header: &[u8]| {
            if let Ok(element) = parse(header) {
                let names = element.uris.iter().chain(&element.dns_names);
                assert!(names.map(String::len).sum::<usize>() <= header.len());
            }
        });
    }
}
