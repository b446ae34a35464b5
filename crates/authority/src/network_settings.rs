//! What is configured of network mode.

use schemars::JsonSchema;
use serde::Deserialize;

/// Network mode: users of other nodes get at what is here without an account.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// The name that other nodes know this one by: `iss` of the tokens it sends them, `aud` of those they send.
    pub instance: String,
}
