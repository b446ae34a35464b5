//! Where the store is and how old what is known of it may be.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// The store.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct StoreSettings {
    /// Where it is kept: `sqlite:FILE`, relative to the configuration file, for one server; or `postgres://…` for several.
    /// Use `${NAME}` or `$file` for passwords. Default: `sqlite:portcullis.db`
    #[serde(default = "default_store")]
    #[schemars(with = "String")]
    pub store: SecretString,
    /// For how many seconds decisions go on while the store cannot be read. After that nobody knows what was revoked
    /// meanwhile, and every credential is refused. Default: 60
    #[serde(default = "default_max_stale_seconds")]
    pub max_stale_seconds: u64,
    /// How long to wait for what.
    #[serde(skip)]
    pub timing: Timing,
}

/// How long to wait for what; not configured.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Between two looks for changes that nobody told about.
    pub poll: Duration,
    /// For a connection.
    pub connect: Duration,
    /// For a statement, and for other changes before one can begin.
    pub statement: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            connect: Duration::from_secs(3),
            statement: Duration::from_secs(5),
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            store: default_store(),
            max_stale_seconds: default_max_stale_seconds(),
            timing: Timing::default(),
        }
    }
}

fn default_store() -> SecretString {
    SecretString::from("sqlite:portcullis.db")
}

fn default_max_stale_seconds() -> u64 {
    60
}
