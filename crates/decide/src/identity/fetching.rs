//! Where keys and introspected answers come from when an identity is made: from the identity before it, as far as that has
//! the same ones, or from somebody who begins to fetch now.
//!
//! So a change of the settings costs no fetch for an issuer that it does not touch, and leaves no moment without its keys.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::fetch::Source;
use super::introspection::{IntrospectionSettings, Introspector};
use super::keys::{IssuerKeys, Pace, Since};
use super::verifier::Verifier;

/// How verifiers get what they fetch.
pub(super) struct Fetching<'a> {
    runtime: &'a Handle,
    /// `None` at the start of the server.
    before: Option<&'a [Verifier]>,
}

impl<'a> Fetching<'a> {
    /// Everything is begun, on this runtime.
    pub(super) fn anew(runtime: &'a Handle) -> Self {
        Self {
            runtime,
            before: None,
        }
    }

    /// What these verifiers have is kept, the rest is begun.
    pub(super) fn after(before: &'a [Verifier], runtime: &'a Handle) -> Self {
        Self {
            runtime,
            before: Some(before),
        }
    }

    /// The keys of that issuer, which are fetched from there at that pace.
    pub(super) fn keys(&self, name: &str, source: Source, pace: Pace) -> Arc<IssuerKeys> {
        let kept = self
            .before
            .into_iter()
            .flatten()
            .filter_map(Verifier::shared_keys);
        let kept = kept.into_iter().find(|keys| keys.are_from(name, &source, pace));
        let since = self.before.map_or(Since::Start, |_| Since::Change);
        let begun = || Arc::new(IssuerKeys::start(name, source, pace, since, self.runtime));
        kept.map_or_else(begun, Arc::clone)
    }

    /// The introspection endpoint with these settings.
    pub(super) fn endpoint(&self, settings: &IntrospectionSettings) -> Arc<Introspector> {
        let kept = self
            .before
            .into_iter()
            .flatten()
            .find_map(|verifier| match verifier {
                Verifier::Introspection(endpoint) if endpoint.settings.is_same(settings) => Some(endpoint),
                _ => None,
            });
        kept.map_or_else(
            || Arc::new(Introspector::start(settings, self.runtime)),
            Arc::clone,
        )
    }
}
