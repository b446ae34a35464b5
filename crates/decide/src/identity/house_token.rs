//! Tokens that the house issued in exchange for a user's token, for somebody who acts for that user (RFC 8693).
//!
//! They are JWTs like others and are read as strictly: EdDSA only, the type `at+jwt`, a key that the latest view of the store
//! has. What they say of the user was verified when they were issued, by the issuers of the same configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use model::{Actor, Delegation, HouseKey, HouseView, Principal, PrincipalKind};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::{Claims, Demands, MAX_ENTRIES, Registered, checked_name, fault, has_expired, strings};
use super::credentials::Place;
use super::issuer::Proven;
use super::jws::Jws;
use super::refusal::{ClaimFault, Quoted, TokenRefusal};
use super::settings::{Profile, canonical_base};
use super::signature::SignedWith;
use super::verifier::{Answer, HouseIdentity, IdentitySettings};
use super::{capability, ed25519};
use crate::house::House;

/// The claim with everything that the registered ones have no place for.
const PRIVATE: &str = "portcullis";

/// By how many seconds the clocks of replicas may differ: one has issued what another is shown.
const START_LEEWAY: f64 = 30.0;

/// The verifier of such tokens.
#[derive(Debug)]
pub(super) struct HouseTokens {
    /// Where they may be.
    pub(super) places: Vec<Place>,
    /// The short name of the house.
    pub(super) name: String,
    url: String,
    demands: Demands,
    /// For how many seconds after its end a token can still be exchanged for a fresh one.
    grace: f64,
    /// By short name: those whose users a token can be about.
    issuers: HashMap<String, Origin>,
    house: Arc<House>,
}

/// What counts of a token that a delegated one came from.
#[derive(Debug)]
struct Origin {
    trust_roles: bool,
    profile: Profile,
    base_path: String,
}

impl HouseTokens {
    /// By validated settings.
    pub(super) fn new(settings: &HouseIdentity, all: &IdentitySettings, house: &Arc<House>) -> Self {
        let issuers = all.issuers.iter().map(|issuer| {
            let base = issuer.base_path.as_deref().and_then(canonical_base);
            let origin = Origin {
                trust_roles: issuer.trust_roles,
                profile: issuer.profile,
                base_path: base.unwrap_or_default().to_owned(),
            };
            (issuer.name.clone(), origin)
        });
        Self {
            places: vec![Place::Bearer],
            name: settings.name.clone(),
            url: settings.issuer.clone(),
            demands: Demands {
                audiences: settings.audiences.clone(),
                expiry_leeway: 0.0,
                start_leeway: START_LEEWAY,
                max_lifetime: None,
            },
            grace: settings.renewal_grace_seconds as f64,
            issuers: issuers.collect(),
            house: Arc::clone(house),
        }
    }

    /// True for a token that says it is the house's own.
    pub(super) fn issued(&self, jws: &Jws<'_>) -> bool {
        matches!(jws.claims.get("iss"), Some(Value::String(iss)) if *iss == self.url)
    }

    /// Judges a token of the house.
    pub(super) fn answer(&self, jws: &Jws<'_>, now: SystemTime) -> Answer {
        match self.judge(jws, now, 0.0) {
            Ok(proven) => Answer::Verified(Box::new(proven)),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// The same for a token that is to be exchanged for a fresh one: it may have ended a while ago.
    ///
    /// # Errors
    /// [`TokenRefusal`]
    pub(super) fn renewable(&self, jws: &Jws<'_>, now: SystemTime) -> Result<Proven, TokenRefusal> {
        self.judge(jws, now, self.grace)
    }

    fn judge(&self, jws: &Jws<'_>, now: SystemTime, leeway: f64) -> Result<Proven, TokenRefusal> {
        if jws.algorithm != Algorithm::EdDsa {
            return Err(TokenRefusal::AlgorithmNotAllowed(jws.algorithm));
        }
        if jws.typ.as_deref() != Some("at+jwt") {
            let typ = jws.typ.as_deref().unwrap_or("absent");
            return Err(TokenRefusal::TokenType(Quoted::new(typ)));
        }
        let kid = jws.kid.as_deref();
        let kid = kid.ok_or(TokenRefusal::KidMissing("the house's own tokens always do"))?;
        let claims = Claims(&jws.claims);
        let demands = Demands {
            expiry_leeway: leeway,
            ..self.demands.clone()
        };
        let registered = Registered::check(claims, &demands, now)?;
        let view = self.house.good_view();
        let view = view.ok_or_else(|| {
            TokenRefusal::KeysUnavailable("the store has not been read for too long".to_owned())
        })?;
        verify(&view, jws, kid)?;
        let principal = self.principal(claims, &registered)?;
        Ok(Proven {
            principal: principal.into(),
            registered,
            signed_with: Some(SignedWith {
                kid: kid.to_owned(),
                named: true,
                generation: 0,
            }),
        })
    }

    /// True while a verdict still holds: the token has not ended, and the store still has its key.
    pub(super) fn still_holds(&self, proven: &Proven, now: f64) -> bool {
        let kid = proven.kid();
        !has_expired(proven.registered.expires_at, 0.0, now)
            && self
                .house
                .good_view()
                .is_some_and(|view| view.keys.iter().any(|key| Some(&*key.kid) == kid))
    }

    /// The user, and who acts.
    fn principal(&self, claims: Claims<'_>, registered: &Registered) -> Result<Principal, TokenRefusal> {
        let private = object(claims.0.get(PRIVATE), PRIVATE)?;
        let user = object(private.get("user"), "user")?;
        let issuer = Claims(user).name("issuer")?.ok_or(missing("issuer"))?;
        let origin = self.issuers.get(issuer);
        let origin = origin.ok_or_else(|| TokenRefusal::OriginUnknown(Quoted::new(issuer)))?;
        let kind = match Claims(user).text("kind")? {
            Some("User") => PrincipalKind::User,
            Some("Client") => PrincipalKind::Client,
            Some("Robot") => PrincipalKind::Robot,
            _ => return Err(fault("kind", ClaimFault::Not("User, Client or Robot"))),
        };
        let subject = Claims(user).name("subject")?.ok_or(missing("subject"))?;
        let actors = actors(private)?;
        let client = actors.first().filter(|actor| actor.issuer == issuer);
        let somebody = Principal::new(kind, issuer, subject);
        if registered.subject != somebody.id {
            return Err(fault("sub", ClaimFault::Not("the user whom the token is about")));
        }
        let scopes = &registered.scopes;
        let capabilities = match origin.profile {
            Profile::Wlcg => capability::wlcg(scopes, &origin.base_path)?,
            Profile::Scitokens => capability::scitokens(scopes, &origin.base_path)?,
            Profile::Keycloak | Profile::Oidc | Profile::Backstage => model::Capabilities::default(),
        };
        let names = |name| Claims(user).names(name).map(owned);
        Ok(Principal {
            name: Claims(user).name("name")?.map(str::to_owned),
            client: client.map(|actor| actor.client.clone()),
            groups: names("groups")?,
            roles: if origin.trust_roles {
                roles(user)?
            } else {
                Vec::new()
            },
            scopes: scopes.clone(),
            audiences: registered.audiences.clone(),
            capabilities,
            claims: shown(user)?,
            actors,
            delegation: Some(Box::new(self.delegation(private)?)),
            ..somebody
        })
    }

    fn delegation(&self, private: &Map<String, Value>) -> Result<Delegation, TokenRefusal> {
        let origin = Claims(object(private.get("origin"), "origin")?);
        let limit = |name| match private.contains_key(name) {
            true => Claims(private).names(name).map(owned).map(Some),
            false => Ok(None),
        };
        Ok(Delegation {
            issuer: self.name.clone(),
            token_id: origin.name("jti")?.map(str::to_owned),
            issued_at: origin.time("iat")?,
            client: origin.name("client")?.map(str::to_owned),
            chain: Claims(private).name("chain")?.ok_or(missing("chain"))?.to_owned(),
            began_at: Claims(private).time("began")?.ok_or(missing("began"))?,
            holder: Claims(private)
                .name("holder")?
                .ok_or(missing("holder"))?
                .to_owned(),
            workspaces: limit("workspaces")?,
            actions: limit("actions")?,
        })
    }
}

/// The signature, by the key of that name.
fn verify(view: &HouseView, jws: &Jws<'_>, kid: &str) -> Result<(), TokenRefusal> {
    let Some(key) = view.keys.iter().find(|key| key.kid == kid) else {
        let known: Vec<&str> = view.keys.iter().map(|key| &*key.kid).collect();
        return Err(TokenRefusal::UnknownKey {
            kid: Quoted::new(kid),
            known: known.join(", "),
        });
    };
    match is_signed_by(key, jws) {
        true => Ok(()),
        false => Err(TokenRefusal::Signature(Quoted::new(kid))),
    }
}

fn is_signed_by(key: &HouseKey, jws: &Jws<'_>) -> bool {
    let public = UnparsedPublicKey::new(&ED25519, key.public);
    !ed25519::is_weak(key.public) && public.verify(jws.signed.as_bytes(), &jws.signature).is_ok()
}

/// All who act; without anybody it would be the user's own token again, with another lifetime.
fn actors(private: &Map<String, Value>) -> Result<Vec<Actor>, TokenRefusal> {
    let actors = private.get("actors").and_then(Value::as_array);
    let actors = actors.filter(|actors| (1..=MAX_ENTRIES).contains(&actors.len()));
    let actors = actors.ok_or(missing("actors"))?;
    let actor = |actor| {
        let actor = Claims(object(Some(actor), "actors")?);
        let issuer = actor.name("issuer")?.ok_or(missing("actors"))?;
        let client = actor.name("client")?.ok_or(missing("actors"))?;
        Ok(Actor::new(issuer, client))
    };
    actors.iter().map(actor).collect()
}

fn roles(user: &Map<String, Value>) -> Result<Vec<(String, Vec<String>)>, TokenRefusal> {
    let Some(roles) = user.get("roles") else {
        return Ok(Vec::new());
    };
    let roles = object(Some(roles), "roles")?.iter();
    roles
        .map(|(client, roles)| {
            let roles = strings("roles", roles)?;
            let roles = roles
                .into_iter()
                .map(|role| checked_name("roles", role).map(str::to_owned));
            Ok((
                checked_name("roles", client)?.to_owned(),
                roles.collect::<Result<_, _>>()?,
            ))
        })
        .collect()
}

/// The claims of the user's token that identity headers show.
fn shown(user: &Map<String, Value>) -> Result<Vec<(String, String)>, TokenRefusal> {
    let Some(claims) = user.get("claims") else {
        return Ok(Vec::new());
    };
    let claims = object(Some(claims), "claims")?.iter();
    claims
        .map(|(place, text)| {
            let text = text
                .as_str()
                .ok_or(fault("claims", ClaimFault::Not("an object of strings")))?;
            Ok((place.clone(), text.to_owned()))
        })
        .collect()
}

fn object<'v>(value: Option<&'v Value>, name: &'static str) -> Result<&'v Map<String, Value>, TokenRefusal> {
    let value = value.ok_or(missing(name))?;
    value.as_object().ok_or(fault(name, ClaimFault::Not("an object")))
}

fn missing(name: &'static str) -> TokenRefusal {
    fault(name, ClaimFault::Missing)
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
