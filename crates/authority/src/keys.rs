//! The keys of the house.

use schemars::JsonSchema;
use serde::Deserialize;

/// How private keys are kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {}

impl crate::Authority {
    /// The private keys that sign tokens to other nodes, in PEM, the one that signs first. Here are none yet.
    ///
    /// # Errors
    /// There are none.
    pub async fn node_keys(&self) -> Result<Vec<secrecy::SecretString>, crate::StoreError> {
        Err(crate::StoreError::NotFound)
    }
}
