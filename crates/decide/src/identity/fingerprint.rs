//! What tells settings from others, secrets included, without showing any of them.

use secrecy::ExposeSecret as _;

use super::cache::Digest;
use super::introspection::IntrospectionSettings;
use super::verifier::IdentitySettings;

impl IdentitySettings {
    /// A digest of everything, for comparing only: it is never shown.
    pub(super) fn fingerprint(&self) -> Digest {
        Digest::of(&format!("{self:?}\n{:?}", self.secrets()))
    }

    /// All secrets, which `Debug` leaves out, in the order of the settings.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let Self {
            issuers,
            static_tokens,
            introspection,
            exposed_claims: _,
            backstage,
            house: _,
        } = self;
        let issuers = issuers.iter().flat_map(|issuer| &issuer.hmac_secrets);
        let tokens = static_tokens.iter().flat_map(|tokens| &tokens.tokens);
        let tokens = tokens.filter_map(|token| token.token.as_ref());
        let endpoints = introspection.iter().map(|endpoint| &endpoint.client_secret);
        let secrets = issuers.chain(tokens).chain(endpoints);
        let secrets = secrets.map(|secret| secret.expose_secret().to_owned());
        secrets
            .chain(backstage.iter().flat_map(|backstage| backstage.unredacted()))
            .collect()
    }
}

impl IntrospectionSettings {
    /// True if the settings are the same, the secret included.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let secret = |settings: &Self| settings.client_secret.expose_secret().to_owned();
        format!("{self:?}") == format!("{other:?}") && secret(self) == secret(other)
    }
}
