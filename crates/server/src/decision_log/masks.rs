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

/// A principal in the form that is told, for replacing it wherever it stands.
#[derive(Debug)]
pub(super) struct Hidden {
    /// What must not be told, the longest first, each with what stands there instead.
    texts: Vec<(String, String)>,
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
        let quoted: String = serde_json::from_str(id).unwrap_or_else(|_| id.trim_matches('"').to_owned());
        let (issuer, subject) = quoted.split_once('/')?;
        let tag = hmac::sign(key, quoted.as_bytes());
        let hash = tag.as_ref().iter().take(HASH_BYTES);
        let hash: String = hash.map(|byte| format!("{byte:02x}")).collect();
        let told = format!("{kind}::\"{issuer}/{hash}\"");
        Some(Hidden {
            texts: vec![
                (principal.to_owned(), told.clone()),
                (quoted.clone(), format!("{issuer}/{hash}")),
                (subject.to_owned(), hash),
            ],
            principal: told,
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
    /// The text without the principal in it, as far as it stands there as a word of its own.
    pub(super) fn in_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (hidden, told) in &self.texts {
            text = replaced(&text, hidden, told);
        }
        text
    }
}

/// `text` with `told` for each `hidden` that is not a part of a longer word.
fn replaced(text: &str, hidden: &str, told: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    if hidden.is_empty() {
        return rest.to_owned();
    }
    while let Some(at) = rest.find(hidden) {
        let (before, from) = rest.split_at(at);
        let after = from.get(hidden.len()..).unwrap_or_default();
        done.push_str(before);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let alone = !word(done.chars().next_back()) && !word(after.chars().next());
        done.push_str(if alone { told } else { hidden });
        rest = after;
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests;
