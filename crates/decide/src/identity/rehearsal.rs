//! Whom claims would make, had their token a good signature: for people who test their rules.
//!
//! Every check but the signature runs, with the settings of the issuer. What comes out is a name and no proof: a
//! [`Verified`](super::Verified) is never made here, so nothing of this can let a request pass.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Principal;
use serde_json::{Map, Value};

use super::claims::{Claims, fault};
use super::issuer::Issuer;
use super::jwks::KeySet;
use super::jws::Jws;
use super::keys::IssuerKeys;
use super::mapping::ClaimPath;
use super::refusal::{ClaimFault, Quoted, Refused, TokenRefusal};
use super::verifier::IdentitySettings;

/// The configured issuers without their keys: nothing is fetched.
#[derive(Debug)]
pub struct Rehearsal(Vec<Issuer>);

impl Rehearsal {
    /// The issuers of these (validated) settings.
    pub fn new(settings: &IdentitySettings) -> Self {
        let exposed = settings.exposed_claims.iter();
        let exposed: Vec<ClaimPath> = exposed.map(|path| ClaimPath::new(path)).collect();
        let issuers = settings.issuers.iter().map(|settings| {
            let no_keys = KeySet::shared(std::iter::empty(), &[]);
            let mut issuer = Issuer::with_keys(settings, IssuerKeys::fixed(&settings.name, no_keys));
            issuer.exposed.clone_from(&exposed);
            issuer
        });
        Self(issuers.collect())
    }

    /// The short names of the issuers.
    pub fn issuers(&self) -> Vec<&str> {
        self.0.iter().map(|issuer| issuer.name.as_str()).collect()
    }

    /// Who presents a token with this JOSE header and these claims at the time `now`. What is absent and every token
    /// has is that of the issuer called `issuer`: `alg`, `typ` and `kid`; `iss`, `aud`, `iat` and `exp`.
    ///
    /// # Errors
    /// The refusal, as a request with such a token would meet it.
    pub fn principal(
        &self,
        issuer: &str,
        header: &Map<String, Value>,
        claims: &Map<String, Value>,
        now: SystemTime,
    ) -> Result<Principal, Refused> {
        let named = self.0.iter().find(|known| known.name == issuer);
        let usual = |part: fn(&Issuer, SystemTime) -> Map<String, Value>| {
            named.map_or_else(Map::new, |issuer| part(issuer, now))
        };
        let header = segment(usual(|issuer, _| issuer.usual_header()), header);
        let claims = segment(usual(Issuer::usual_claims), claims);
        // There is no signature, and nobody asks for it.
        let token = format!("{header}.{claims}.");
        let jws = Jws::parse(&token).map_err(|reason| Refused { reason, issuer: None })?;
        match self.0.iter().find(|issuer| issuer.issued(&jws)) {
            Some(issuer) => issuer.rehearse(&jws, now).map_err(|reason| Refused {
                reason,
                issuer: Some(issuer.name.clone()),
            }),
            None => {
                let reason = match Claims(&jws.claims).name("iss") {
                    Ok(Some(iss)) => TokenRefusal::UnknownIssuer(Quoted::new(iss)),
                    Ok(None) => fault("iss", ClaimFault::Missing),
                    Err(reason) => reason,
                };
                Err(Refused { reason, issuer: None })
            }
        }
    }
}

/// A segment of a JWT: `usual` with what is `said` instead.
fn segment(mut usual: Map<String, Value>, said: &Map<String, Value>) -> String {
    usual.extend(said.clone());
    URL_SAFE_NO_PAD.encode(Value::Object(usual).to_string())
}

#[cfg(test)]
mod tests;
