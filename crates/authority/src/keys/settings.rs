//! How the private keys are kept.

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::pair::Pair;
use super::sealed::Sealing;
use crate::Flaw;

/// How private keys are kept: encrypted in the store, or in files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// What encrypts private keys in the store: 32 random bytes in hexadecimal digits (`openssl rand -hex 32`), the same on
    /// all replicas. Use `${NAME}` or `$file`. Without it no private key is kept in the store.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub encryption_key: Option<SecretString>,
    /// Ed25519 keys that sign delegated tokens, in PEM (`$file: token.pem`, made by `openssl genpkey -algorithm ed25519`). The
    /// first signs, all are published: to rotate, add the new one as the second, put it first when everybody knows it, and
    /// take the old one away when its tokens are gone. Default: keys that the store keeps and `portcullis keys rotate` replaces
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("writeOnly" = true))]
    pub token_keys: Vec<SecretString>,
    /// For how many seconds a new key of the store is published before it signs, so that everybody who keeps the published
    /// keys has seen it by then. Default: 300
    #[serde(default = "default_publish_ahead_seconds")]
    pub publish_ahead_seconds: u64,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self {
            encryption_key: None,
            token_keys: Vec::new(),
            publish_ahead_seconds: default_publish_ahead_seconds(),
        }
    }
}

fn default_publish_ahead_seconds() -> u64 {
    300
}

impl KeySettings {
    /// True if there can be keys that sign delegated tokens.
    pub fn can_sign_tokens(&self) -> bool {
        self.encryption_key.is_some() || !self.token_keys.is_empty()
    }

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
        if self
            .encryption_key
            .as_ref()
            .is_some_and(|key| Sealing::new(key).is_none())
        {
            let message = "this is not a key of 32 bytes in 64 hexadecimal digits";
            flaw(
                "/encryption_key".to_owned(),
                message,
                "for example the output of `openssl rand -hex 32`",
            );
        }
        for (index, pem) in self.token_keys.iter().enumerate() {
            if Pair::token_from_pem(pem.expose_secret()).is_none() {
                let message = "this is no Ed25519 key in PEM without a password";
                let help = "`$file: token.pem`, made by `openssl genpkey -algorithm ed25519 -out token.pem`";
                flaw(format!("/token_keys/{index}"), message, help);
            }
        }
        if self.publish_ahead_seconds > 86_400 {
            let message = "a new key would wait for more than a day";
            flaw(
                "/publish_ahead_seconds".to_owned(),
                message,
                "leave it out for five minutes",
            );
        }
        flaws
    }
}
