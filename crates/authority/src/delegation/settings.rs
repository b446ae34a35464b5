//! What is configured of token exchange.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Flaw;

/// Longest life of a delegated token, whatever is configured: a day.
const LONGEST: u64 = 86_400;
/// Longest time for which a token can be renewed, whatever is configured: a year.
const LONGEST_TOTAL: u64 = 31_536_000;

/// Token exchange (RFC 8693): services get tokens to act for users, also after the user's own token has ended.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegationSettings {
    /// Whom delegated tokens may be for (`aud`); the first if a request does not say. This server accepts those for any of them.
    pub audiences: Vec<String>,
    /// Scopes that delegated tokens may have, if the user's token has them. Default: all that it has
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// For how many seconds a delegated token is good if the request does not say. Default: 600
    #[serde(default = "default_lifetime_seconds")]
    pub default_lifetime_seconds: u64,
    /// Most seconds that a request may ask for. At most 86400. Default: 3600
    #[serde(default = "default_max_lifetime_seconds")]
    pub max_lifetime_seconds: u64,
    /// For how many seconds after the user's token was exchanged a service can go on renewing its delegated one. At most
    /// 31536000. Default: 604800, a week
    #[serde(default = "default_max_total_seconds")]
    pub max_total_seconds: u64,
    /// For how many seconds after its end a delegated token can still be renewed. Default: 300
    #[serde(default = "default_renewal_grace_seconds")]
    pub renewal_grace_seconds: u64,
}

fn default_lifetime_seconds() -> u64 {
    600
}

fn default_max_lifetime_seconds() -> u64 {
    3600
}

fn default_max_total_seconds() -> u64 {
    604_800
}

fn default_renewal_grace_seconds() -> u64 {
    300
}

impl DelegationSettings {
    /// Everything that is wrong, at once.
    pub fn validate(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut flaw = |pointer: String, message: &str, help| {
            let message = message.to_owned();
            flaws.push(Flaw {
                pointer,
                message,
                help,
            });
        };
        if self.audiences.is_empty() {
            let message = "a token for nobody is of no use";
            flaw(
                "/audiences".to_owned(),
                message,
                "name this server as its issuers' `audiences` do",
            );
        }
        let named = |name: &str| (1..=1024).contains(&name.len()) && !name.chars().any(char::is_control);
        for (index, audience) in self.audiences.iter().enumerate() {
            if !named(audience) || audience.trim() != audience {
                flaw(
                    format!("/audiences/{index}"),
                    "this is no name",
                    "for example `https://api.example.org`",
                );
            }
        }
        for (index, scope) in self.scopes.iter().flatten().enumerate() {
            if !is_scope(scope) {
                let help = "visible ASCII without blanks, `\"` and `\\`";
                flaw(format!("/scopes/{index}"), "this is no scope", help);
            }
        }
        if !(1..=LONGEST).contains(&self.max_lifetime_seconds) {
            let message = "a delegated token must be good for a second to a day";
            flaw(
                "/max_lifetime_seconds".to_owned(),
                message,
                "services renew their tokens; leave it out for an hour",
            );
        }
        if !(1..=self.max_lifetime_seconds).contains(&self.default_lifetime_seconds) {
            let message = "this is not between 1 and `max_lifetime_seconds`";
            flaw(
                "/default_lifetime_seconds".to_owned(),
                message,
                "leave it out for ten minutes",
            );
        }
        if !(1..=LONGEST_TOTAL).contains(&self.max_total_seconds) {
            let message = "the end of all renewals must be a second to a year after the exchange";
            flaw(
                "/max_total_seconds".to_owned(),
                message,
                "leave it out for a week",
            );
        }
        if self.renewal_grace_seconds > LONGEST {
            let message = "what ended more than a day ago cannot be renewed";
            flaw(
                "/renewal_grace_seconds".to_owned(),
                message,
                "leave it out for five minutes",
            );
        }
        flaws
    }
}

/// A scope token (RFC 6749 section 3.3).
pub fn is_scope(text: &str) -> bool {
    let characters = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(characters)
}
