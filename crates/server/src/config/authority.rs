//! The section `authority`: what the house itself vouches for.

use std::net::SocketAddr;
use std::path::PathBuf;

use authority::{DelegationSettings, KeySettings, NetworkSettings, StoreSettings};
use decide::identity::{HouseIdentity, NetworkIdentity};
use schemars::JsonSchema;
use serde::Deserialize;

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
    /// How what the house gave is recognised.
    pub(super) fn house(&self) -> HouseIdentity {
        let network = self.network.as_ref();
        HouseIdentity {
            network: network.map(|network| NetworkIdentity {
                in_query: network.query_parameter,
            }),
            ..self.identity.clone()
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9193))
}
