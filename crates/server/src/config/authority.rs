//! The section `authority`: what the house itself vouches for.

use std::net::SocketAddr;
use std::path::PathBuf;

use authority::{DelegationSettings, Flaw, KeySettings, NetworkSettings, StoreSettings};
use decide::identity::{HouseIdentity, IdentitySettings, NetworkIdentity};
use decide::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::tls::TlsSettings;

/// The house as an authority of its own: revocations, federated nodes, and tokens that it issues.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct AuthoritySection {
    /// Who the house is.
    #[serde(flatten)]
    pub identity: HouseIdentity,
    /// Where it keeps what it knows.
    #[serde(flatten)]
    pub store: StoreSettings,
    /// Where clients and other nodes ask: the token endpoint, the key sets, network mode. It belongs behind the proxy.
    /// Default: `127.0.0.1:9193`
    #[serde(default = "default_listen")]
    #[schemars(extend("format" = super::schema::ADDRESS))]
    pub listen: SocketAddr,
    /// TLS there; what is not encrypted is closed then. Default: none
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Policies about the house itself: who may administer it, who may exchange tokens. Without any nobody may. Entity types
    /// are those of `policies.schema`; `portcullis schema --authority` prints the rest. Example: `[authority.cedar]`
    #[serde(default)]
    pub policies: Vec<PathBuf>,
    /// How the house's private keys are kept.
    #[serde(default)]
    pub keys: KeySettings,
    /// Network mode as Magpie has it: users of other nodes get at what is here without an account. Default: off
    #[serde(default)]
    pub network: Option<NetworkSettings>,
    /// Token exchange (RFC 8693): services get tokens to act for users. Default: off
    #[serde(default)]
    pub delegation: Option<DelegationSettings>,
}

impl AuthoritySection {
    /// How the house's own credentials are recognised.
    pub(super) fn house(&self) -> HouseIdentity {
        let delegation = self.delegation.as_ref();
        HouseIdentity {
            audiences: delegation.map(|it| it.audiences.clone()).unwrap_or_default(),
            renewal_grace_seconds: delegation.map_or(0, |it| it.renewal_grace_seconds),
            network: self.network.as_ref().map(|network| NetworkIdentity {
                in_query: network.query_parameter,
            }),
            ..self.identity.clone()
        }
    }

    /// What is wrong with keys, token exchange and network mode.
    pub(super) fn problems(&self, identity: &IdentitySettings) -> Vec<Problem> {
        let told = |section: &str, flaws: Vec<Flaw>| {
            let pointer = format!("/authority/{section}");
            let told = move |flaw: Flaw| {
                Problem::setting(format!("{pointer}{}", flaw.pointer), flaw.message, flaw.help)
            };
            flaws.into_iter().map(told).collect::<Vec<_>>()
        };
        let mut problems = told("keys", self.keys.validate());
        if let Some(delegation) = &self.delegation {
            problems.extend(told("delegation", delegation.validate()));
            if !self.keys.can_sign_tokens() {
                problems.push(Problem::setting(
                    "/authority/delegation",
                    "there is no key that could sign delegated tokens",
                    "add `keys: {encryption_key: $file: key.hex}` to `authority` (openssl rand -hex 32 > key.hex)",
                ));
            }
        }
        if let Some(network) = &self.network {
            problems.extend(told("network", network.validate()));
            if network.private_keys.is_empty() && self.keys.encryption_key.is_none() {
                problems.push(Problem::setting(
                    "/authority/network",
                    "there is no key that could sign tokens for other nodes",
                    "add `private_keys: [{$file: node.pem}]` (openssl genrsa -out node.pem 2048), or `keys: {encryption_key: …}` \
                     to `authority`",
                ));
            }
            let mut others = identity.names();
            others.retain(|name| *name != self.identity.name);
            if let Some(issuer) = &network.local_issuer
                && !others.contains(&issuer.as_str())
            {
                problems.push(Problem::setting(
                    "/authority/network/local_issuer",
                    format!("nobody who vouches for users is called `{issuer}`"),
                    format!("there are: {}", others.join(", ")),
                ));
            }
        }
        problems
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9193))
}
