//! Tokens that the house issues in exchange for a user's token, for somebody who acts for that user.

use schemars::JsonSchema;
use serde::Deserialize;

/// Token exchange (RFC 8693).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegationSettings {
    /// Whom delegated tokens may be for (`aud`); the first if a request does not say. They are accepted here for any of these.
    pub audiences: Vec<String>,
}
