//! Bounds on what a proxy can make the server do.

use decide::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

/// Bounds on what a proxy can make the server do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest message of a proxy, in bytes; a request with a larger one is denied. Default: 8388608
    #[serde(default = "default_max_message_bytes")]
    pub max_message_bytes: usize,
    /// Bytes of messages that one listener reads or answers at the same time; what finds no room is denied.
    /// Default: 268435456
    #[serde(default = "default_max_bytes_in_flight")]
    pub max_bytes_in_flight: usize,
    /// Connections at the same time. Default: 1024
    #[serde(default = "default_max_connections")]
    pub max_connections: usize,
    /// Requests at the same time on one connection (HTTP/2 streams). Default: 1000
    #[serde(default = "default_max_streams")]
    pub max_streams: u32,
    /// Checks that wait at the same time, for keys that are being fetched or for what an issuer says of a token; others that
    /// would have to wait are denied at once. Default: 4096
    #[serde(default = "default_max_waiting")]
    pub max_waiting: usize,
}

impl Limits {
    /// What cannot be meant.
    pub(super) fn problem(&self) -> Option<Problem> {
        (self.max_bytes_in_flight < self.max_message_bytes).then(|| {
            Problem::setting(
                "/limits/max_bytes_in_flight",
                "a message of `max_message_bytes` would never find room",
                "make it several times as much: it is for all messages of a listener",
            )
        })
    }
}

fn default_max_message_bytes() -> usize {
    contracts::grpc::DEFAULT_MAX_MESSAGE_BYTES
}

fn default_max_bytes_in_flight() -> usize {
    256 * 1024 * 1024
}

fn default_max_connections() -> usize {
    1024
}

fn default_max_streams() -> u32 {
    1000
}

fn default_max_waiting() -> usize {
    decide::DEFAULT_MAX_WAITING
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: default_max_message_bytes(),
            max_bytes_in_flight: default_max_bytes_in_flight(),
            max_connections: default_max_connections(),
            max_streams: default_max_streams(),
            max_waiting: default_max_waiting(),
        }
    }
}
