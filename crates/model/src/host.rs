//! The host of a request in its one normal form.

use std::borrow::Cow;
use std::fmt;

/// A host name or IP literal: lower case, without port and without a trailing dot; an IPv6 address in brackets. The port
/// is beside it, and is no part of what is compared.
#[derive(Clone, Debug)]
pub struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
}

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
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or(HostRefusal::Port)?),
                };
                (inner, port)
            }
            None => match authority.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (authority, None),
            },
        };
        let port = port.map(number).transpose()?;
        if let Some(address) = literal {
            // An IPv6 address has many spellings and one canonical text (RFC 5952).
            let name = Cow::Owned(format!("[{address}]"));
            return Ok(Self { name, port });
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
        let name = lower(name);
        Ok(Self { name, port })
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The port that was asked for, if one was written. It tells URLs apart, not hosts.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// A copy that borrows nothing.
    pub(crate) fn to_static(&self) -> Host<'static> {
        Host {
            name: Cow::Owned(self.name.to_string()),
            port: self.port,
        }
    }

    /// The same, borrowed from here.
    pub(crate) fn borrowed(&self) -> Host<'_> {
        Host {
            name: Cow::Borrowed(&self.name),
            port: self.port,
        }
    }
}

fn number(port: &str) -> Result<u16, HostRefusal> {
    if (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()) {
        port.parse().map_err(|_| HostRefusal::Port)
    } else {
        Err(HostRefusal::Port)
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
        for (authority, normal, port) in [
            ("api.example.test", "api.example.test", None),
            ("API.Example.TEST", "api.example.test", None),
            ("api.example.test:8443", "api.example.test", Some(8443)),
            ("api.example.test.", "api.example.test", None),
            ("api.example.test.:80", "api.example.test", Some(80)),
            ("127.0.0.1:10000", "127.0.0.1", Some(10000)),
            ("[::1]", "[::1]", None),
            ("[0:0:0:0:0:0:0:1]:80", "[::1]", Some(80)),
            ("[2001:DB8::1]:443", "[2001:db8::1]", Some(443)),
        ] {
            assert_eq!(
                Host::parse(authority).map(|h| (h.as_str().to_owned(), h.port())),
                Ok((normal.to_owned(), port)),
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
            assert_eq!(Host::parse(authority).err(), Some(refusal), "{authority}");
        }
        assert_eq!(Host::parse(&"a".repeat(300)).err(), Some(HostRefusal::TooLong));
    }
}
