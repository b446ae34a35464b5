//! One issuer as a verifier: is this token mine, and if so, is it good?

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use model::{Principal, PrincipalKind};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::actor::{self, ClientActs};
use super::algorithm::Algorithm;
use super::awaited::Awaited;
use super::claims::{Claims, Demands, MAX_ENTRIES, Registered, fault, has_expired, unix_seconds};
use super::credentials::Place;
use super::fetch::{self, Source};
use super::fetching::Fetching;
use super::jwks::KeySet;
use super::jws::{self, Jws};
use super::keys::IssuerKeys;
use super::mapping::{self, ClaimMapping, ClaimPath, KindRule};
use super::refusal::{ClaimFault, Quoted, TokenRefusal};
use super::settings::{
    ActorRule, AnyAudience, GroupHierarchy, IssuerSettings, KidRule, Profile, canonical_base,
};
use super::signature::{SignedWith, Stop, check_signature};
use super::verifier::Answer;
use super::{backstage, capability, entitlement, keycloak, oidc, roles, scitokens, wlcg};

/// Most bytes of the names of all groups of one token, with those that they are in.
const MAX_GROUP_BYTES: usize = 64 * 1024;

/// How the settings write that a header has no `typ`.
const ABSENT: &str = "absent";

/// How long a token lives whose claims do not say, in a rehearsal.
const USUAL_LIFETIME_SECONDS: u64 = 300;

/// What a good credential says. Only verifiers make one.
#[derive(Clone, Debug)]
pub(super) struct Proven {
    /// Who presents it.
    pub(super) principal: Arc<Principal>,
    /// The registered claims.
    pub(super) registered: Registered,
    /// The key that signed it; `None` if it is not signed.
    pub(super) signed_with: Option<SignedWith>,
}

impl Proven {
    /// `kid`, the name of the key that signed it.
    pub(super) fn kid(&self) -> Option<&str> {
        self.signed_with.as_ref().map(|key| key.kid.as_str())
    }
}

/// A configured issuer with its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Short name.
    pub(super) name: String,
    /// Its keys.
    pub(super) keys: Arc<IssuerKeys>,
    /// Where its tokens may be.
    pub(super) places: Vec<Place>,
    url: String,
    algorithms: Vec<Algorithm>,
    types: Types,
    kid: KidRule,
    demands: Demands,
    required: Vec<ClaimPath>,
    profile: Profile,
    mapping: ClaimMapping,
    roles: RoleTrust,
    hierarchy: GroupHierarchy,
    actor: ActorRule,
    base_path: String,
    /// Claims that identity headers show.
    pub(super) exposed: Vec<ClaimPath>,
}

/// What a profile reads of a verified token.
#[derive(Debug)]
pub(super) struct Reading<'c> {
    /// The claims, each where the profile looks for it.
    pub(super) claims: Claims<'c>,
    /// The registered ones.
    pub(super) registered: &'c Registered,
    /// The issuer's short name.
    pub(super) issuer: &'c str,
    /// What the header says of the purpose.
    pub(super) purpose: Purpose,
    /// How the kind is found.
    pub(super) kind: KindRule,
    /// What capabilities are relative to; empty for the root.
    pub(super) base_path: &'c str,
}

/// What the `typ` of a header says the token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An access token (`at+jwt`, RFC 9068 section 2.1, or a type that the settings name).
    Access,
    /// `JWT`, or nothing: any kind of token.
    Unsaid,
}

/// The values of `typ` that an issuer's access tokens may have, `absent` for none.
#[derive(Debug)]
struct Types(Vec<String>);

/// Whether the roles in a token count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoleTrust {
    /// They do.
    Trusted,
    /// They are checked and dropped.
    Ignored,
}

impl Issuer {
    /// An issuer by its (validated) settings; fetching begins at once.
    pub(super) fn new(settings: &IssuerSettings, fetching: &Fetching<'_>) -> Self {
        let place = match (settings.jwks_uris(), &settings.jwks_file) {
            (Some(urls), _) => fetch::Place::Urls(urls),
            (None, Some(path)) => fetch::Place::File(path.clone()),
            (None, None) => fetch::Place::Discovery,
        };
        let keys = if settings.hmac_secrets.is_empty() {
            let source = Source {
                issuer: settings.issuer.clone(),
                place,
            };
            fetching.keys(&settings.name, source, settings.pace())
        } else {
            let secrets = settings.hmac_secrets.iter().map(|s| s.expose_secret().as_bytes());
            Arc::new(IssuerKeys::fixed(
                &settings.name,
                KeySet::shared(secrets, &settings.algorithms()),
            ))
        };
        Self::with_keys(settings, keys)
    }

    pub(super) fn with_keys(settings: &IssuerSettings, keys: impl Into<Arc<IssuerKeys>>) -> Self {
        let keys = keys.into();
        let any = match settings.profile {
            Profile::Keycloak | Profile::Oidc | Profile::Backstage => None,
            Profile::Wlcg => Some(wlcg::ANY_AUDIENCE),
            Profile::Scitokens => Some(scitokens::ANY_AUDIENCE),
        };
        let any = any.filter(|_| settings.any_audience != Some(AnyAudience::Refuse));
        let wlcg = settings.profile == Profile::Wlcg;
        // The profile tolerates no clock skew at the end of a token's life (WLCG 1.1 and later, section 4.3.1).
        let expiry_leeway = settings.leeway_seconds.unwrap_or(if wlcg { 0 } else { 30 });
        let types = match (&settings.types, settings.profile) {
            (Some(types), _) => types.iter().map(|typ| jws::media_type(typ)).collect(),
            (None, Profile::Backstage) => vec![backstage::USER_TYPE.to_owned()],
            (None, _) => ["at+jwt", "jwt", ABSENT].map(str::to_owned).into(),
        };
        let kid = match (settings.kid, settings.hmac_secrets.is_empty()) {
            (rule, true) => rule,
            // A shared secret has no name.
            (_, false) => KidRule::Optional,
        };
        let base_path = settings.base_path.as_deref().and_then(canonical_base);
        Self {
            name: settings.name.clone(),
            keys,
            places: settings.credentials.clone(),
            url: settings.issuer.clone(),
            algorithms: settings.algorithms(),
            types: Types(types),
            kid,
            demands: Demands {
                audiences: settings
                    .audiences
                    .iter()
                    .cloned()
                    .chain(any.map(str::to_owned))
                    .collect(),
                expiry_leeway: expiry_leeway as f64,
                start_leeway: settings.leeway_seconds.unwrap_or(30) as f64,
                max_lifetime: settings.max_lifetime_seconds.or(wlcg.then_some(6 * 3600)),
            },
            required: settings.required_claims.clone(),
            profile: settings.profile,
            mapping: settings.claims.clone(),
            roles: if settings.trust_roles {
                RoleTrust::Trusted
            } else {
                RoleTrust::Ignored
            },
            hierarchy: settings.group_hierarchy,
            actor: settings.actor,
            base_path: base_path.unwrap_or_default().to_owned(),
            exposed: Vec::new(),
        }
    }

    /// True for a token that says it is of this issuer: by `iss` alone, compared exactly.
    pub(super) fn issued(&self, jws: &Jws<'_>) -> bool {
        matches!(jws.claims.get("iss"), Some(Value::String(iss)) if *iss == self.url)
    }

    /// Judges a token of this issuer.
    pub(super) fn answer(&self, jws: &Jws<'_>, now: SystemTime) -> Answer {
        match self.judge(jws, now) {
            Ok(proven) => Answer::Verified(Box::new(proven)),
            Err(Stop::Refused(refusal)) => Answer::Refused(refusal),
            Err(Stop::NoKey(refusal, wanted)) => Answer::NotYet(refusal, wanted.map(Awaited::from)),
        }
    }

    /// The order: what costs nothing first, so that a hopeless token neither waits for a fetch nor causes one; the
    /// principal last, because nothing else of an unverified token means anything.
    fn judge(&self, jws: &Jws<'_>, now: SystemTime) -> Result<Proven, Stop> {
        let (purpose, registered) = self.check(jws, now)?;
        let signed_with = check_signature(&self.keys, jws)?;
        let principal = self.principal(&jws.claims, &registered, purpose)?;
        Ok(Proven {
            principal: principal.into(),
            registered,
            signed_with: Some(signed_with),
        })
    }

    /// All that [`Self::judge`] does but the signature: proves nothing.
    pub(super) fn rehearse(&self, jws: &Jws<'_>, now: SystemTime) -> Result<Principal, TokenRefusal> {
        let (purpose, registered) = self.check(jws, now)?;
        self.principal(&jws.claims, &registered, purpose)
    }

    /// What is checked before the signature.
    fn check(&self, jws: &Jws<'_>, now: SystemTime) -> Result<(Purpose, Registered), TokenRefusal> {
        if !self.algorithms.contains(&jws.algorithm) {
            return Err(TokenRefusal::AlgorithmNotAllowed(jws.algorithm));
        }
        let purpose = self.types.purpose(jws.typ.as_deref())?;
        if jws.kid.is_none() && self.kid == KidRule::Required {
            return Err(TokenRefusal::KidMissing("`kid` of the issuer is `required`"));
        }
        mapping::check_required(Claims(&jws.claims), &self.required)?;
        let mapped = self.mapping.apply(&jws.claims, self.profile);
        let claims = Claims(&mapped);
        let mut registered = Registered::check(claims, &self.demands, now)?;
        if let Some(sub) = Claims(&jws.claims).name("sub")? {
            sub.clone_into(&mut registered.sub);
        }
        Ok((purpose, registered))
    }

    /// A JOSE header that this issuer might write, of a token whose purpose it leaves unsaid if it ever does.
    pub(super) fn usual_header(&self) -> Map<String, Value> {
        let mut header = Map::new();
        header.insert("kid".to_owned(), "rehearsal".into());
        if let Some(algorithm) = self.algorithms.first() {
            header.insert("alg".to_owned(), algorithm.as_str().into());
        }
        let unsaid = |typ: &&String| matches!(typ.as_str(), "jwt" | ABSENT);
        let types = &self.types.0;
        if let Some(typ) = types
            .iter()
            .find(unsaid)
            .or(types.first())
            .filter(|typ| *typ != ABSENT)
        {
            header.insert("typ".to_owned(), typ.as_str().into());
        }
        header
    }

    /// Claims that every token for us has at the time `now`.
    pub(super) fn usual_claims(&self, now: SystemTime) -> Map<String, Value> {
        let now = unix_seconds(now) as u64;
        let audience = self.demands.audiences.first().cloned();
        let claims = [
            ("iss", Some(self.url.as_str().into())),
            ("aud", audience.map(Value::from)),
            ("iat", Some(now.into())),
            ("exp", Some((now + USUAL_LIFETIME_SECONDS).into())),
        ];
        let claims = claims
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        claims.collect()
    }

    /// Who a verified token speaks of: as the profile reads it, then what is the same for all profiles.
    pub(super) fn principal(
        &self,
        raw: &Map<String, Value>,
        registered: &Registered,
        purpose: Purpose,
    ) -> Result<Principal, TokenRefusal> {
        let mapped = self.mapping.apply(raw, self.profile);
        let claims = Claims(&mapped);
        let reading = Reading {
            claims,
            registered,
            issuer: &self.name,
            purpose,
            kind: self.mapping.kind(raw)?,
            base_path: &self.base_path,
        };
        let mut principal = match self.profile {
            Profile::Keycloak => keycloak::principal(&reading)?,
            Profile::Oidc => oidc::principal(&reading)?,
            Profile::Wlcg => wlcg::principal(&reading)?,
            Profile::Scitokens => scitokens::principal(&reading)?,
            Profile::Backstage => backstage::user(&reading)?,
        };
        principal.claims = mapping::exposed(raw, &self.exposed)?;
        let roles = roles::roles(claims)?;
        let entitled = entitlement::groups(&self.mapping.entitlements(raw)?);
        if self.hierarchy == GroupHierarchy::Nested {
            principal.groups = with_parents(principal.groups)?;
        }
        principal.groups.extend(entitled);
        if self.roles == RoleTrust::Trusted {
            principal.roles = roles;
        }
        if principal.kind == PrincipalKind::Client {
            // A client belongs to no group and holds no roles, whatever its token says.
            principal.groups.clear();
            principal.roles.clear();
        }
        let with_capabilities = matches!(self.profile, Profile::Wlcg | Profile::Scitokens);
        let outweighed = !principal.capabilities.is_empty() || capability::outweigh_groups(&principal.scopes);
        if with_capabilities && outweighed {
            principal.groups.clear();
            principal.roles.clear();
        }
        let acts = match (self.actor, self.profile) {
            (ActorRule::Azp, _) => ClientActs::Yes,
            (ActorRule::Delegated, Profile::Keycloak) => keycloak::client_acts(claims)?,
            (ActorRule::Delegated, _) => ClientActs::No,
        };
        principal.actors = actor::actors(
            claims,
            (&self.name, &self.url),
            principal.kind,
            principal.client.as_deref(),
            acts,
        )?;
        if self.mapping.actor.is_some() {
            // Whom `act` names acts all the same.
            let issuer = (self.name.as_str(), self.url.as_str());
            let named = actor::actors(Claims(raw), issuer, principal.kind, None, ClientActs::No)?;
            let known = std::mem::take(&mut principal.actors);
            let others = named
                .into_iter()
                .filter(|actor| !known.contains(actor))
                .collect::<Vec<_>>();
            principal.actors = known.into_iter().chain(others).collect();
        }
        Ok(principal)
    }

    /// True while a verdict about a token of this issuer still holds: the token has not expired, the key that signed it is
    /// in force, and the keys are not too old. Takes no lock.
    pub(super) fn still_holds(&self, proven: &Proven, now: f64) -> bool {
        !has_expired(proven.registered.expires_at, self.demands.expiry_leeway, now)
            && self.keys.still_vouch_for(proven)
    }
}

impl Reading<'_> {
    /// Somebody of that kind, with what all profiles read alike.
    pub(super) fn somebody(&self, kind: PrincipalKind) -> Principal {
        Principal {
            audiences: self.registered.audiences.clone(),
            scopes: self.registered.scopes.clone(),
            ..Principal::new(kind, self.issuer, &self.registered.subject)
        }
    }
}

impl Types {
    fn purpose(&self, typ: Option<&str>) -> Result<Purpose, TokenRefusal> {
        let named = typ.unwrap_or(ABSENT);
        if typ == Some(ABSENT) || !self.0.iter().any(|known| known == named) {
            return Err(TokenRefusal::TokenType(Quoted::new(named)));
        }
        Ok(match named {
            ABSENT | "jwt" => Purpose::Unsaid,
            _ => Purpose::Access,
        })
    }
}

/// Every group with those that it is in: `a/b/c` with `a/b` and `a`.
///
/// # Errors
/// [`ClaimFault::TooMany`], so that a few long names do not become megabytes.
fn with_parents(groups: Vec<String>) -> Result<Vec<String>, TokenRefusal> {
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(groups.len());
    for group in &groups {
        let ends = [group.len()]
            .into_iter()
            .chain(group.rmatch_indices('/').map(|(at, _)| at));
        let names = ends
            .filter_map(|end| group.get(..end))
            .filter(|name| !name.is_empty());
        all.extend(names.filter(|name| seen.insert(*name)).map(str::to_owned));
        if all.len() > MAX_ENTRIES || all.iter().map(String::len).sum::<usize>() > MAX_GROUP_BYTES {
            return Err(fault("groups", ClaimFault::TooMany));
        }
    }
    Ok(all)
}
