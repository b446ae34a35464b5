//! The names in certificates that can become ids: SPIFFE ids and DNS names, each in exactly one spelling.

use std::borrow::Cow;

/// The longest SPIFFE id (SPIFFE-ID section 2.3).
const MAX_SPIFFE_ID_BYTES: usize = 2048;
/// The longest trust domain (SPIFFE-ID section 2.3).
const MAX_TRUST_DOMAIN_BYTES: usize = 255;
/// The longest DNS name in text (RFC 1035 section 2.3.4) and the longest label.
const MAX_DNS_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// The trust domain of a SPIFFE id of a workload, `spiffe://<trust domain>/<path>`; `None` for everything else.
///
/// Nothing is normalised: what is not spelt as SPIFFE-ID section 2 has it (lower-case trust domain; segments of
/// letters, digits, `.`, `-`, `_`; no port, query, escape or empty segment) is no SPIFFE id. The id of a trust domain
/// itself, without a path, belongs to no workload.
pub(super) fn trust_domain_of(id: &str) -> Option<&str> {
    if id.len() > MAX_SPIFFE_ID_BYTES {
        return None;
    }
    let (trust_domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
    (is_trust_domain(trust_domain) && path.split('/').all(is_segment)).then_some(trust_domain)
}

/// Whether this is the name of a trust domain (SPIFFE-ID section 2.1).
pub(super) fn is_trust_domain(name: &str) -> bool {
    (1..=MAX_TRUST_DOMAIN_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// A DNS name in lower case; `None` for what is none: wildcards, a dot at the end, subjects such as `CN=x`.
pub(super) fn dns_name(name: &str) -> Option<Cow<'_, str>> {
    if name.len() > MAX_DNS_NAME_BYTES || !name.split('.').all(is_label) {
        return None;
    }
    Some(if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// DNS names that are believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DnsPattern {
    /// This name.
    Name(Box<str>),
    /// Every name of one label more than this: `*.<this>`.
    Below(Box<str>),
}

impl DnsPattern {
    /// Reads a name in lower case, or `*.` and such a name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, pattern): (&str, fn(Box<str>) -> Self) = match text.strip_prefix("*.") {
            Some(parent) => (parent, Self::Below),
            None => (text, Self::Name),
        };
        match dns_name(name)? {
            Cow::Borrowed(name) => Some(pattern(name.into())),
            Cow::Owned(_) => None,
        }
    }

    /// Whether a name in lower case is one of these.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(known) => **known == *name,
            Self::Below(parent) => name.split_once('.').is_some_and(|(_, above)| *above == **parent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_have_one_spelling() {
        let long = |bytes: usize| format!("spiffe://td.test/{}", "a".repeat(bytes - 17));
        let domain = |bytes: usize| format!("spiffe://{}/a", "d".repeat(bytes));
        for (id, expected) in [
            ("spiffe://td.test/ns/x/sa/a", Some("td.test")),
            ("spiffe://td.test/a", Some("td.test")),
            ("spiffe://t_d-1.test/A.b-c_9/...", Some("t_d-1.test")),
            ("spiffe://td.test", None),
            ("spiffe://td.test/", None),
            ("spiffe:///a", None),
            ("spiffe://", None),
            ("", None),
            ("SPIFFE://td.test/a", None),
            ("Spiffe://td.test/a", None),
            ("spiffe:/td.test/a", None),
            ("https://td.test/a", None),
            (" spiffe://td.test/a", None),
            ("spiffe://td.test/a ", None),
            ("spiffe://TD.test/a", None),
            ("spiffe://td.test:443/a", None),
            ("spiffe://td.test:/a", None),
            ("spiffe://u@td.test/a", None),
            ("spiffe://td%2etest/a", None),
            ("spiffe://t\u{e4}.test/a", None),
            ("spiffe://td.test//a", None),
            ("spiffe://td.test/a/", None),
            ("spiffe://td.test/./a", None),
            ("spiffe://td.test/a/..", None),
            ("spiffe://td.test/../a", None),
            ("spiffe://td.test/a?x=1", None),
            ("spiffe://td.test/a#x", None),
            ("spiffe://td.test?x/a", None),
            ("spiffe://td.test/%61", None),
            ("spiffe://td.test/a;b", None),
            ("spiffe://td.test/a\\b", None),
            ("spiffe://td.test/\u{e4}", None),
            ("spiffe://td.test/a\0", None),
            ("spiffe://td.test,spiffe://td.test/a", None),
            (&long(2048), Some("td.test")),
            (&long(2049), None),
            (&domain(255), Some(&*"d".repeat(255))),
            (&domain(256), None),
        ] {
            assert_eq!(trust_domain_of(id), expected, "{id:?}");
        }
    }

    #[test]
    fn dns_names_have_one_spelling() {
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        for (name, expected) in [
            ("se1.grid.example.org", Some("se1.grid.example.org")),
            ("SE1.Grid.example.ORG", Some("se1.grid.example.org")),
            ("localhost", Some("localhost")),
            ("1.a-b", Some("1.a-b")),
            (&label, Some(&*label)),
            (&long, Some(&*long)),
            (&format!("{long}b"), None),
            (&format!("{label}a"), None),
            ("", None),
            (".", None),
            ("a.", None),
            (".a", None),
            ("a..b", None),
            ("*.a", None),
            ("-a.b", None),
            ("a-.b", None),
            ("a_b.c", None),
            ("a b", None),
            ("a:1", None),
            ("CN=a.b", None),
            ("spiffe://a.b/c", None),
            ("\u{e4}.b", None),
            ("a.b\0", None),
        ] {
            assert_eq!(dns_name(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_star_is_exactly_one_label() {
        for (pattern, name, expected) in [
            ("a.example.org", "a.example.org", true),
            ("a.example.org", "b.a.example.org", false),
            ("a.example.org", "example.org", false),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", "b.a.example.org", false),
            ("*.example.org", "a.example.org.evil", false),
            ("*.example.org", "aexample.org", false),
        ] {
            let parsed = DnsPattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(name), expected, "{pattern} {name}");
        }
        for text in [
            "", "*", "*.", "*.*.org", "a.*", "a*.org", "**.org", "A.org", "*.Org", "a.", "x/y",
        ] {
            assert_eq!(DnsPattern::parse(text), None, "{text:?}");
        }
    }
}
