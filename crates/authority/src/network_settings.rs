//! What is configured of network mode.

use model::LocalUser;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::flaw::Flaw;
use crate::node_jwt::NodeSigner;
use crate::nodes::checked_name;

/// Network mode: users of other nodes get at what is here without an account.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// The name that other nodes know this one by: `iss` of the tokens it sends them, `aud` of those they send. ASCII letters,
    /// digits, `_` and `-`.
    pub instance: String,
    /// Whether network tokens may also be in the query, as `?magpie_token=…`. They end up in logs and in the browser's history
    /// then. Default: false
    #[serde(default)]
    pub query_parameter: bool,
    /// For how many seconds a network token is good. Default: 86400
    #[serde(default = "default_token_seconds")]
    pub token_seconds: u64,
    /// For how many seconds a token from one node to another is good, ours and theirs. At most 300. Default: 30
    #[serde(default = "default_node_token_seconds")]
    pub node_token_seconds: u64,
    /// RSA keys that sign the tokens we send to other nodes, in PEM (`$file: node.pem`), of at least 2048 bits. The first signs,
    /// all are published: to rotate, put the new one first and take the old one away a day later. Default: keys that the store
    /// keeps and `portcullis keys rotate` replaces.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("writeOnly" = true))]
    pub private_keys: Vec<SecretString>,
    /// The issuer (short name) whose subjects other nodes and administrators name without it: `alice` instead of `main/alice`,
    /// as between nodes of Magpie. Default: none, all names are written as in policies.
    #[serde(default)]
    pub local_issuer: Option<String>,
}

impl NetworkSettings {
    /// Everything that is wrong, at once.
    pub fn validate(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut flaw = |pointer: &str, message: String, help| {
            flaws.push(Flaw {
                pointer: pointer.to_owned(),
                message,
                help,
            });
        };
        if let Err(why) = checked_name(&self.instance) {
            flaw("/instance", format!("the name {why}"), "for example `node-a`");
        }
        if !(1..=31_536_000).contains(&self.token_seconds) {
            let message = "a network token must be good for a second to a year".to_owned();
            flaw("/token_seconds", message, "leave it out for a day");
        }
        if !(5..=300).contains(&self.node_token_seconds) {
            let message = "a token from node to node must be good for 5 to 300 seconds".to_owned();
            flaw("/node_token_seconds", message, "leave it out for 30 seconds");
        }
        if let Err(unusable) = NodeSigner::from_pem(self.pems()) {
            flaw(
                &format!("/private_keys/{}", unusable.index),
                unusable.why,
                "for example `$file: node.pem`, made by `openssl genrsa -out node.pem 2048`",
            );
        }
        flaws
    }

    /// How other nodes know a user of ours.
    pub fn name_of(&self, user: &LocalUser) -> String {
        match &self.local_issuer {
            Some(issuer) if *issuer == user.issuer => user.subject.clone(),
            _ => format!("{}/{}", user.issuer, user.subject),
        }
    }

    /// The user of ours with that name: a subject of `local_issuer`, or as policies write it.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn local_user(&self, name: &str) -> Result<LocalUser, &'static str> {
        let (issuer, subject) = match &self.local_issuer {
            Some(issuer) => (issuer.as_str(), name),
            // Short names of issuers have no slash.
            None => name
                .split_once('/')
                .ok_or("is not `issuer/subject`, and no `local_issuer` is configured")?,
        };
        Ok(LocalUser {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// The keys as text.
    pub(crate) fn pems(&self) -> impl Iterator<Item = &str> {
        self.private_keys.iter().map(|key| key.expose_secret())
    }
}

fn default_token_seconds() -> u64 {
    86_400
}

fn default_node_token_seconds() -> u64 {
    30
}
