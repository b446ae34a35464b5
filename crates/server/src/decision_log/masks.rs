//! What is left out of records, or told in another form.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use secrecy::ExposeSecret as _;

use super::settings::{AddressMask, RecordSettings, SubjectMask};

/// How many bytes of a hash are told.
const HASH_BYTES: usize = 16;

/// The masks of the configuration.
#[derive(Debug, Default)]
pub(super) struct Masks {
    subject: Option<hmac::Key>,
    client_ip: AddressMask,
}

/// A principal in the form that is told, for replacing its subject wherever it stands.
#[derive(Debug)]
pub(super) struct Hidden {
    /// What must not be told, as it may be spelled, the longest first.
    subjects: Vec<String>,
    hash: String,
    /// The principal as it is told.
    pub(super) principal: String,
}

impl Masks {
    pub(super) fn of(settings: &RecordSettings) -> Self {
        let key = settings.hash_key.as_ref();
        let key = key.filter(|_| settings.subject == SubjectMask::Hash);
        Self {
            subject: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes())),
            client_ip: settings.client_ip,
        }
    }

    /// What stands for a principal such as `User::"main/alice"`; `None` if it is told as it is.
    pub(super) fn hide(&self, principal: &str) -> Option<Hidden> {
        let key = self.subject.as_ref()?;
        let (kind, id) = principal.split_once("::")?;
        let id = id.strip_prefix('"')?.strip_suffix('"')?;
        let (issuer, subject) = id.split_once('/')?;
        let tag = hmac::sign(key, id.as_bytes());
        let hash = tag.as_ref().iter().take(HASH_BYTES);
        let hash: String = hash.map(|byte| format!("{byte:02x}")).collect();
        Some(Hidden {
            principal: format!("{kind}::\"{issuer}/{hash}\""),
            subjects: spellings(subject),
            hash,
        })
    }

    /// The client's address as it is told.
    pub(super) fn address(&self, address: &str) -> Option<String> {
        match self.client_ip {
            AddressMask::Keep => Some(address.to_owned()),
            AddressMask::Drop => None,
            AddressMask::Network => Some(match address.parse().ok()? {
                IpAddr::V4(address) => {
                    let [a, b, c, _] = address.octets();
                    format!("{a}.{b}.{c}.0/24")
                }
                IpAddr::V6(address) => {
                    let [a, b, c, ..] = address.segments();
                    format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
                }
            }),
        }
    }
}

impl Hidden {
    /// The text without the subject in it, as far as it stands there as a word of its own.
    pub(super) fn in_text(&self, text: &str) -> String {
        self.subjects.iter().fold(text.to_owned(), |text, subject| {
            // Nearly no text has it.
            match text.contains(subject) || text.contains(['%', '+']) {
                true => replaced(&text, subject, &self.hash),
                false => text,
            }
        })
    }

    /// The same for a host, which says in lower case whatever the subject is.
    pub(super) fn in_host(&self, host: &str) -> String {
        let subjects = self.subjects.iter().map(|subject| subject.to_lowercase());
        subjects.fold(host.to_owned(), |host, subject| {
            replaced(&host, &subject, &self.hash)
        })
    }
}

/// How a subject is spelled: as it is, and as Cedar prints it.
fn spellings(subject: &str) -> Vec<String> {
    let printed = subject.escape_debug().to_string();
    let mut all = vec![printed, subject.to_owned()];
    all.dedup();
    all.retain(|spelling| !spelling.is_empty());
    all
}

/// `text` with `told` for each `hidden` that is not a part of a longer word. Each byte of it may be percent-encoded, and a
/// space may be a plus.
fn replaced(text: &str, hidden: &str, told: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let (mut rest, mut is_word) = (text, false);
    let begins = hidden.starts_with(char::is_alphanumeric);
    let ends = hidden.ends_with(char::is_alphanumeric);
    while let Some(first) = first(rest) {
        let after = after(rest, hidden).filter(|_| !(begins && is_word));
        match after.filter(|after| !(ends && self::first(after).is_some_and(|next| next.is_word))) {
            Some(after) => {
                done.push_str(told);
                (rest, is_word) = (after, true);
            }
            None => {
                let (said, after) = rest.split_at(first.length);
                done.push_str(said);
                (rest, is_word) = (after, first.is_word);
            }
        }
    }
    done
}

/// The first character of a text, or the first byte if it is percent-encoded.
struct First {
    byte: u8,
    is_encoded: bool,
    is_word: bool,
    /// How many bytes of the text it takes.
    length: usize,
}

fn first(text: &str) -> Option<First> {
    let encoded = text
        .strip_prefix('%')
        .and_then(|rest| rest.get(..2))
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| u8::from_str_radix(digits, 16).ok());
    if let Some(byte) = encoded {
        return Some(First {
            byte,
            is_encoded: true,
            is_word: byte.is_ascii_alphanumeric(),
            length: 3,
        });
    }
    let (byte, character) = (*text.as_bytes().first()?, text.chars().next()?);
    Some(First {
        byte,
        is_encoded: false,
        is_word: character.is_alphanumeric(),
        length: character.len_utf8(),
    })
}

/// What comes after `hidden` in a text that begins with it.
fn after<'t>(text: &'t str, hidden: &str) -> Option<&'t str> {
    let (mut rest, mut hidden) = (text, hidden);
    while let Some(wanted) = hidden.chars().next() {
        let (bytes, more) = hidden.split_at(wanted.len_utf8());
        let encoded = bytes.bytes().try_fold(rest, |rest, byte| {
            let first = first(rest).filter(|first| first.is_encoded && first.byte == byte)?;
            rest.get(first.length..)
        });
        rest = encoded
            .or_else(|| rest.strip_prefix(wanted))
            .or_else(|| rest.strip_prefix('+').filter(|_| wanted == ' '))?;
        hidden = more;
    }
    Some(rest)
}

#[cfg(test)]
mod tests;
