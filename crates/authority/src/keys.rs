//! The keys of the house.

use schemars::JsonSchema;
use serde::Deserialize;

/// How private keys are kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {}
