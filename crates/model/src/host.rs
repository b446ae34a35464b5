//! The host of a request in its one normal form.

use std::borrow::Cow;
use std::fmt;

/// A host name or IP literal: lower case, without port and without a trailing dot; an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a>(Cow<'a, str>);

/// Why an authority is not a host that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRefusal {
    /// There is none.
    Empty,
    /// Longer than a DNS name can be (253 bytes, plus brackets and port).
    TooLong,
    /// A byte that no host name, IP literal or port has (`@`, `/`, blanks, non-ASCII).
    Character(u8),
    /// Brackets that do not enclose an IPv6 address.
    Bracket,
    /// What follows the colon is not a port.
    Port,
    /// An empty label (`a..b`, a leading dot).
    EmptyLabel,
}

impl<'a> Host<'a> {
    /// Reads an authority (`Host` header, `:authority`): `host`, `host:port`, `[v6]`, `[v6]:port`.
    ///
    /// # Errors
    /// [`HostRefusal`] for everything that two parsers could read differently.
    pub fn parse(authority: &'a str) -> Result<Self, HostRefusal> {
        if authority.is_empty() {
            return Err(HostRefusal::Empty);
        }
        if authority.len() > 262 {
            return Err(HostRefusal::TooLong);
        }
        let mut literal = None;
        let (name, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (inner, port) = rest.split_once(']').ok_or(HostRefusal::Bracket)?;
                let address: std::net::Ipv6Addr = inner.parse().map_err(|_| HostRefusal::Bracket)?;
                literal = Some(address);
                (
                    inner,
                    port.strip_prefix(':').or_else(|| port.is_empty().then_some("0")),
                )
            }
            None => match authority.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (authority, Some("0")),
            },
        };
        let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        if !port.is_some_and(|port| port.len() <= 5 && is_port(port)) {
            return Err(HostRefusal::Port);
        }
        if let Some(address) = literal {
            // An IPv6 address has many spellings and one canonical text (RFC 5952).
            return Ok(Self(Cow::Owned(format!("[{address}]"))));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        if let Some(bad) = name
            .bytes()
            .find(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')))
        {
            return Err(HostRefusal::Character(bad));
        }
        if name.split('.').any(str::is_empty) {
            return Err(HostRefusal::EmptyLabel);
        }
        Ok(Self(lower(name)))
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A copy that borrows nothing.
    pub(crate) fn to_static(&self) -> Host<'static> {
        Host(Cow::Owned(self.0.to_string()))
    }

    /// The same, borrowed from here.
    pub(crate) fn borrowed(&self) -> Host<'_> {
        Host(Cow::Borrowed(&self.0))
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

impl fmt::Display for HostRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the request has no host"),
            Self::TooLong => write!(f, "the host is longer than a host name can be"),
            Self::Character(b) => write!(f, "the host has the byte 0x{b:02X}, which no host name has"),
            Self::Bracket => write!(f, "the brackets in the host do not enclose an IPv6 address"),
            Self::Port => write!(f, "what follows the colon of the host is not a port"),
            Self::EmptyLabel => write!(f, "the host has an empty label"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_form() {
        for (authority, normal) in [
            ("api.example.test", "api.example.test"),
            ("API.Example.TEST", "api.example.test"),
            ("api.example.test:8443", "api.example.test"),
            ("api.example.test.", "api.example.test"),
            ("api.example.test.:80", "api.example.test"),
            ("127.0.0.1:10000", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0:0:0:0:0:0:1]:80", "[::1]"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ] {
            assert_eq!(
                Host::parse(authority).map(|h| h.as_str().to_owned()),
                Ok(normal.to_owned()),
                "{authority}"
            );
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for (authority, refusal) in [
            ("", HostRefusal::Empty),
            ("a..b", HostRefusal::EmptyLabel),
            (".a", HostRefusal::EmptyLabel),
            (".", HostRefusal::EmptyLabel),
            ("a,b", HostRefusal::Character(b',')),
            ("user@host", HostRefusal::Character(b'@')),
            ("host/path", HostRefusal::Character(b'/')),
            ("ho st", HostRefusal::Character(b' ')),
            ("host:", HostRefusal::Port),
            ("host:80:80", HostRefusal::Port),
            ("host:http", HostRefusal::Port),
            ("host:123456", HostRefusal::Port),
            ("host:65536", HostRefusal::Port),
            ("host:99999", HostRefusal::Port),
            ("[::1", HostRefusal::Bracket),
            ("[host]", HostRefusal::Bracket),
            ("[::1]80", HostRefusal::Port),
            ("::1", HostRefusal::Port),
            ("h\u{f6}st", HostRefusal::Character(0xC3)),
        ] {
            assert_eq!(Host::parse(authority), Err(refusal), "{authority}");
        }
        assert_eq!(Host::parse(&"a".repeat(300)), Err(HostRefusal::TooLong));
    }
}
