//! What is left out of records, or told in another form.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use memchr::memmem;
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
/// space may be a plus. However often a text nearly has it, that takes about as long as reading it.
fn replaced(text: &str, hidden: &str, told: &str) -> String {
    let mut text = Decoded::of(text, "%").replaced(text, hidden, told);
    // Where the bytes in question are in it themselves.
    for (character, decoding) in [('%', ""), (' ', "%+")] {
        if hidden.contains(character) {
            text = Decoded::of(&text, decoding).replaced(&text, hidden, told);
        }
    }
    text
}

/// A text with some of its bytes decoded.
#[derive(Default)]
struct Decoded {
    bytes: Vec<u8>,
    /// Where in the text each byte begins; and its end.
    places: Vec<usize>,
    /// Whether each is of a letter or a digit.
    words: Vec<bool>,
}

impl Decoded {
    /// Decodes percent-encoded bytes (`%`), and a plus as a space (`+`).
    fn of(text: &str, decoding: &str) -> Self {
        let (percent, plus) = (decoding.contains('%'), decoding.contains('+'));
        let (mut this, mut rest) = (Self::default(), text);
        while let Some(character) = rest.chars().next() {
            let place = text.len() - rest.len();
            let length = match encoded(rest).filter(|_| percent) {
                Some(byte) => {
                    this.push(byte, place, byte.is_ascii_alphanumeric());
                    3
                }
                None if character == '+' && plus => {
                    this.push(b' ', place, false);
                    1
                }
                None => {
                    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                        this.push(byte, place, character.is_alphanumeric());
                    }
                    character.len_utf8()
                }
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        this.places.push(text.len());
        this
    }

    fn push(&mut self, byte: u8, place: usize, is_word: bool) {
        self.bytes.push(byte);
        self.places.push(place);
        self.words.push(is_word);
    }

    fn replaced(&self, text: &str, hidden: &str, told: &str) -> String {
        let finder = memmem::Finder::new(hidden);
        let begins = hidden.starts_with(char::is_alphanumeric);
        let ends = hidden.ends_with(char::is_alphanumeric);
        let is_word = |at: usize| self.words.get(at) == Some(&true);
        let place = |at: usize| self.places.get(at).copied().unwrap_or(text.len());
        let (mut done, mut said, mut from) = (String::with_capacity(text.len()), 0, 0);
        while let Some(found) = self.bytes.get(from..).and_then(|bytes| finder.find(bytes)) {
            let (begin, end) = (from + found, from + found + hidden.len());
            if (begins && begin > 0 && is_word(begin - 1)) || (ends && is_word(end)) {
                from = begin + 1;
                continue;
            }
            done.push_str(text.get(said..place(begin)).unwrap_or_default());
            done.push_str(told);
            (said, from) = (place(end), end);
        }
        done.push_str(text.get(said..).unwrap_or_default());
        done
    }
}

/// The byte with which a text begins, if it is percent-encoded.
fn encoded(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    let digits = digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then_some(digits)?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
