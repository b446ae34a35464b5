//! How changes come into force while the server runs.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// How changes of the configuration, and of all files and folders that it names, come into force while the server runs.
/// SIGHUP and `POST /reload` on the admin listener always work. What is not valid never replaces what is in force.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReloadSettings {
    /// Whether the files are watched. Default: `true`
    #[serde(default = "default_watch")]
    pub watch: bool,
    /// After how many seconds the files are looked at in any case, because some file systems (of networks, for example)
    /// do not tell of changes. Only with `watch`; 0: never. Default: 30
    #[serde(default = "default_poll_seconds")]
    pub poll_seconds: u64,
    /// Whether the tests of the policies must pass before a change comes into force. Default: `false`
    #[serde(default)]
    pub run_tests: bool,
}

impl ReloadSettings {
    /// How long after a look at the files the next one comes, whatever is told of changes.
    pub fn poll(&self) -> Option<Duration> {
        (self.watch && self.poll_seconds > 0).then(|| Duration::from_secs(self.poll_seconds))
    }
}

impl Default for ReloadSettings {
    fn default() -> Self {
        Self {
            watch: default_watch(),
            poll_seconds: default_poll_seconds(),
            run_tests: false,
        }
    }
}

fn default_watch() -> bool {
    true
}

fn default_poll_seconds() -> u64 {
    30
}
