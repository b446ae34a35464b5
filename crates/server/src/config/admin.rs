//! Where operators and probes ask, as the file says it now. A server that runs may have refused what is in the file, and answers on: so
//! nothing else that is wrong there matters.

use std::net::SocketAddr;
use std::path::Path;

use decide::policy::Sources;
use decide::problem::Problem;
use serde_json::Value;

use super::load::text_of;
use super::overrides::Overrides;
use super::reads::Reader;
use super::{Config, Invalid, default_admin, yaml};

/// The admin listener, as far as those who ask it need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdminAt {
    pub(crate) address: SocketAddr,
    /// By TLS.
    pub(crate) encrypted: bool,
}

/// Reads `admin` and `admin_options.tls` of the file at `path`, and nothing else. A file that is not even YAML says neither.
///
/// # Errors
/// The file cannot be read, or `admin` is no address.
pub(crate) fn admin(path: &Path, overrides: &Overrides) -> Result<AdminAt, Invalid> {
    let reader = Reader::default();
    let (name, text) = text_of(path, &reader)?;
    let mut document =
        yaml::Document::parse(&name, &text).unwrap_or_else(|_| yaml::Document::unread(&name, &text));
    let folder = path.parent().unwrap_or(Path::new("."));
    // What has no value matters only where it is read below.
    document.resolve(folder, &|name| std::env::var(name), &reader);
    document.override_by(overrides);
    let address = match &document.value()["admin"] {
        Value::Null => Ok(default_admin()),
        said => said.as_str().unwrap_or_default().parse().map_err(|_| ()),
    };
    let encrypted = !document.value()["admin_options"]["tls"].is_null();
    address
        .map(|address| AdminAt { address, encrypted })
        .map_err(|()| {
            let problem = Problem::setting(
                "/admin",
                "this is no address to ask at",
                "for example `127.0.0.1:9192`: an IP address and a port",
            );
            Invalid::new(document, Sources::default(), vec![problem])
        })
}

impl From<&Config> for AdminAt {
    fn from(config: &Config) -> Self {
        Self {
            address: config.admin,
            encrypted: config.admin_options.tls.is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
