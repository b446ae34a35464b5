//! Everybody who can tell whose a credential is, and the order in which they are asked.
//!
//! Each answers that a credential is not theirs, that it is good, or that it is theirs and bad; the last two end the walk.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Deserialize;

use super::awaited::Awaited;
use super::backstage::{self, BackstageSettings, External};
use super::cache::Digest;
use super::credentials::{Place, Presented};
use super::fetching::Fetching;
use super::house_token::HouseTokens;
use super::introspection::{self, IntrospectionSettings, Introspector};
use super::issuer::{Issuer, Proven};
use super::jws::{self, Jws};
use super::keys::IssuerKeys;
use super::mapping::ClaimPath;
use super::network_token::NetworkTokens;
use super::refusal::TokenRefusal;
use super::settings::{self, IssuerSettings};
use super::static_token::{self, StaticTokenSettings, StaticTokens};
use crate::house::House;
use crate::problem::Problem;

/// Whose credentials are believed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct IdentitySettings {
    /// Who issues the JWTs that are believed. Without any issuer and static token, every request is anonymous.
    #[serde(default)]
    pub issuers: Vec<IssuerSettings>,
    /// Opaque tokens that the configuration itself knows.
    #[serde(default)]
    pub static_tokens: Option<StaticTokenSettings>,
    /// Authorization servers that are asked about opaque tokens (RFC 7662).
    #[serde(default)]
    pub introspection: Vec<IntrospectionSettings>,
    /// Claims of JWTs that identity headers show; found in the settings of those.
    #[serde(skip)]
    pub exposed_claims: Vec<String>,
    /// Callers from outside as Backstage's own configuration names them.
    #[serde(default)]
    pub backstage: Option<BackstageSettings>,
    /// What the house itself vouches for (`authority`).
    #[serde(skip)]
    pub house: Option<HouseIdentity>,
}

/// How credentials that the house itself gave are recognised.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct HouseIdentity {
    /// Short name of the house: lower-case letters, digits and `-`. It is part of the ids of those whom the house alone vouches
    /// for (`User::"house/magpie_network_b"`), and revocations name the house's own tokens by it. Default: `house`
    #[serde(default = "default_house_name")]
    pub name: String,
    /// The house's own URL, as clients and other nodes reach it through the proxy: `iss` of the tokens that it issues, and the
    /// beginning of its endpoints' addresses. `https`, or `http` on this very host. Example: `https://gate.example.org`
    pub issuer: String,
    /// Whom the tokens that it issues may be for, if it issues any (`delegation.audiences`).
    #[serde(skip)]
    pub audiences: Vec<String>,
    /// For how many seconds after its end such a token can be renewed (`delegation.renewal_grace_seconds`).
    #[serde(skip)]
    pub renewal_grace_seconds: u64,
    /// How network tokens are recognised; `None`: there are none.
    #[serde(skip)]
    pub network: Option<NetworkIdentity>,
}

/// How network tokens are recognised (`authority.network`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkIdentity {
    /// Whether they may be in the query, as `?magpie_token=…`.
    pub in_query: bool,
}

fn default_house_name() -> String {
    "house".to_owned()
}

impl IdentitySettings {
    /// The short names of all who vouch for principals.
    pub fn names(&self) -> Vec<&str> {
        let issuers = self.issuers.iter().map(|issuer| issuer.name.as_str());
        let endpoints = self.introspection.iter().map(|endpoint| endpoint.name.as_str());
        let tokens = self.static_tokens.iter().map(|tokens| tokens.name.as_str());
        let backstage = self.backstage.iter().map(|backstage| backstage.name.as_str());
        let house = self.house.iter().map(|house| house.name.as_str());
        let others = tokens.chain(backstage).chain(house);
        issuers.chain(endpoints).chain(others).collect()
    }
}

/// A credential, and what everybody who is asked needs of it.
pub(super) struct Question<'q> {
    /// The credential.
    pub(super) presented: &'q Presented<'q, 'q>,
    /// The digest of the token.
    pub(super) digest: Digest,
    /// The token taken apart, or why it is no JWT that can be read.
    pub(super) jws: Result<Jws<'q>, TokenRefusal>,
    /// The time of the request.
    pub(super) now: SystemTime,
    /// Whether it is asked again.
    pub(super) waited: Waited,
}

/// Whether what a credential needs was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Not yet: it may be.
    No,
    /// It was, and whoever is late by now is done without.
    Yes,
}

/// What a verifier says to a credential.
#[derive(Debug)]
pub(super) enum Answer {
    /// Not of this verifier; somebody else may know it.
    NotMine,
    /// Not good for this verifier; somebody else may know it. If nobody does, this is why.
    NotAccepted(TokenRefusal),
    /// It is good.
    Verified(Box<Proven>),
    /// It is mine and it is bad: nobody else is asked.
    Refused(TokenRefusal),
    /// It cannot be checked as things stand. With an [`Awaited`], waiting may change that.
    NotYet(TokenRefusal, Option<Awaited>),
}

/// Somebody who can tell whose a credential is.
#[derive(Debug)]
pub(super) enum Verifier {
    /// Texts that the configuration knows.
    Static(StaticTokens, Vec<Proven>),
    /// An issuer of JWTs.
    Issuer(Box<Issuer>),
    /// A caller from outside of Backstage.
    External(Box<External>),
    /// Tokens that the house gave to users of other nodes.
    Network(NetworkTokens),
    /// An endpoint that knows opaque tokens.
    Introspection(Arc<Introspector>),
    /// The house itself: tokens that it issued for those who act for users.
    House(Box<HouseTokens>),
}

impl Question<'_> {
    /// True for what has a JOSE header and cannot be read all the same.
    pub(super) fn is_unreadable_jwt(&self) -> bool {
        self.jws.as_ref().is_err_and(|refusal| !jws::is_no_jwt(refusal))
    }

    /// True for tokens that Backstage makes for its own use.
    fn is_internal_to_backstage(&self) -> bool {
        self.jws
            .as_ref()
            .is_ok_and(|jws| backstage::internal(jws).is_some())
    }
}

impl Verifier {
    /// Everybody, in the order in which they are asked; fetching of keys begins at once.
    pub(super) fn all(settings: &IdentitySettings, fetching: &Fetching<'_>, house: &Arc<House>) -> Vec<Self> {
        let statics = settings.static_tokens.iter().map(|settings| {
            let (tokens, proofs) = StaticTokens::new(settings);
            Self::Static(tokens, proofs)
        });
        let exposed: Vec<ClaimPath> = settings
            .exposed_claims
            .iter()
            .map(|path| ClaimPath::new(path))
            .collect();
        let issuers = settings.issuers.iter().map(|settings| {
            let mut issuer = Issuer::new(settings, fetching);
            issuer.exposed.clone_from(&exposed);
            Self::Issuer(Box::new(issuer))
        });
        let externals = settings.backstage.iter();
        let externals = externals
            .flat_map(|settings| External::all(settings, fetching))
            .map(|entry| Self::External(Box::new(entry)));
        let endpoints = settings
            .introspection
            .iter()
            .map(|settings| Self::Introspection(fetching.endpoint(settings)));
        let own = settings.house.as_ref().filter(|own| !own.audiences.is_empty());
        let own = own.map(|own| Self::House(Box::new(HouseTokens::new(own, settings, house))));
        let network = settings.house.as_ref().and_then(|settings| {
            let tokens = NetworkTokens::new(&settings.name, settings.network?.in_query, house);
            Some(Self::Network(tokens))
        });
        statics
            .chain(own)
            .chain(issuers)
            .chain(externals)
            .chain(network)
            .chain(endpoints)
            .collect()
    }

    /// Asks.
    pub(super) fn answer(&self, question: &Question<'_>) -> Answer {
        let here = self.takes_from(question.presented.place);
        match self {
            Self::Static(tokens, proofs) => {
                match tokens.find(&question.digest).and_then(|index| proofs.get(index)) {
                    None => Answer::NotMine,
                    Some(_) if !here => Answer::Refused(TokenRefusal::WrongPlace),
                    Some(proof) => Answer::Verified(Box::new(proof.clone())),
                }
            }
            Self::Issuer(issuer) => match &question.jws {
                Ok(jws) if issuer.issued(jws) && here => issuer.answer(jws, question.now),
                Ok(jws) if issuer.issued(jws) => Answer::Refused(TokenRefusal::WrongPlace),
                _ => Answer::NotMine,
            },
            Self::House(house) => match &question.jws {
                Ok(jws) if house.issued(jws) && here => house.answer(jws, question.now),
                Ok(jws) if house.issued(jws) => Answer::Refused(TokenRefusal::WrongPlace),
                _ => Answer::NotMine,
            },
            Self::External(entry) if here => entry.answer(question),
            Self::External(entry) if entry.knows(&question.digest) => {
                Answer::Refused(TokenRefusal::WrongPlace)
            }
            Self::External(_) => Answer::NotMine,
            Self::Network(tokens) => tokens.answer(question, here),
            // Tokens that Backstage makes for itself are no endpoint's.
            Self::Introspection(_) if question.is_internal_to_backstage() => Answer::NotMine,
            Self::Introspection(endpoint) if here => endpoint.answer(question),
            Self::Introspection(_) => Answer::NotMine,
        }
    }

    /// Where credentials of this verifier may be.
    pub(super) fn places(&self) -> &[Place] {
        match self {
            Self::Static(tokens, _) => &tokens.places,
            Self::Issuer(issuer) => &issuer.places,
            Self::External(entry) => entry.places(),
            Self::Network(tokens) => &tokens.places,
            Self::Introspection(endpoint) => &endpoint.settings.credentials,
            Self::House(house) => &house.places,
        }
    }

    /// True if credentials of this verifier may be there.
    pub(super) fn takes_from(&self, place: Option<&Place>) -> bool {
        place.is_none_or(|place| self.places().contains(place))
    }

    /// The short name for the log.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Issuer(issuer) => Some(&issuer.name),
            Self::External(entry) => Some(entry.name()),
            Self::Network(tokens) => Some(&tokens.name),
            Self::Introspection(endpoint) => Some(&endpoint.settings.name),
            Self::House(house) => Some(&house.name),
            Self::Static(..) => None,
        }
    }

    /// The short name for metrics.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Static(tokens, _) => &tokens.name,
            _ => self.name().unwrap_or_default(),
        }
    }

    /// The keys that it fetches, if it does, and how reports name them.
    pub(super) fn keys(&self) -> Option<(String, &IssuerKeys)> {
        let keys = self.shared_keys()?;
        let name = match self {
            Self::External(entry) => entry.label(),
            _ => self.name().unwrap_or_default().to_owned(),
        };
        Some((name, keys))
    }

    /// The same, to be shared with verifiers to come.
    pub(super) fn shared_keys(&self) -> Option<&Arc<IssuerKeys>> {
        match self {
            Self::Issuer(issuer) => Some(&issuer.keys),
            Self::External(entry) => entry.keys(),
            Self::Static(..) | Self::Network(_) | Self::Introspection(_) | Self::House(_) => None,
        }
    }

    /// The endpoint that it asks, if it does.
    pub(super) fn endpoint(&self) -> Option<&Introspector> {
        match self {
            Self::Introspection(endpoint) => Some(endpoint),
            _ => None,
        }
    }

    /// True if its credentials are JWTs.
    pub(super) fn takes_jwts(&self) -> bool {
        match self {
            Self::Issuer(_) | Self::House(_) => true,
            Self::External(entry) => entry.takes_jwts(),
            Self::Static(..) | Self::Network(_) | Self::Introspection(_) => false,
        }
    }

    /// True while what was proven to this verifier is still true. `now` in Unix seconds.
    pub(super) fn still_holds(&self, proven: &Proven, now: f64) -> bool {
        match self {
            Self::Static(..) => true,
            Self::Issuer(issuer) => issuer.still_holds(proven, now),
            Self::External(entry) => entry.still_holds(proven, now),
            Self::Network(tokens) => tokens.still_holds(proven, now),
            Self::Introspection(_) => introspection::still_holds(&proven.registered, now),
            Self::House(house) => house.still_holds(proven, now),
        }
    }
}

/// All problems of the settings, at once, advice included.
pub fn validate(settings: &IdentitySettings) -> Vec<Problem> {
    let mut problems = settings::validate(&settings.issuers);
    let mut names: HashSet<&str> = settings
        .issuers
        .iter()
        .map(|issuer| issuer.name.as_str())
        .collect();
    if let Some(tokens) = &settings.static_tokens {
        problems.extend(static_token::validate(tokens));
        if !names.insert(&tokens.name) {
            problems.push(taken("/static_tokens/name", &tokens.name));
        }
    }
    if let Some(backstage) = &settings.backstage {
        problems.extend(backstage::validate(backstage));
        if !names.insert(&backstage.name) {
            problems.push(taken("/backstage/name", &backstage.name));
        }
    }
    if let Some(house) = &settings.house {
        if let Err(message) = settings::short_name(&house.name) {
            problems.push(Problem::setting(
                "/authority/name",
                message,
                "for example `house`",
            ));
        }
        if !names.insert(&house.name) {
            problems.push(taken("/authority/name", &house.name));
        }
        if let Err(message) = settings::acceptable_url(&house.issuer) {
            let help = "the address of the proxy in front, for example `https://gate.example.org`";
            problems.push(Problem::setting(
                "/authority/issuer",
                format!("the URL {message}"),
                help,
            ));
        }
        if settings
            .issuers
            .iter()
            .any(|issuer| issuer.issuer == house.issuer)
        {
            let message = "an issuer has this URL already, and whose a token is could not be told";
            problems.push(Problem::setting(
                "/authority/issuer",
                message,
                "the house has a URL of its own",
            ));
        }
    }
    problems.extend(introspection::validate(&settings.introspection));
    for (index, endpoint) in settings.introspection.iter().enumerate() {
        if names.contains(endpoint.name.as_str()) {
            problems.push(taken(&format!("/introspection/{index}/name"), &endpoint.name));
        }
    }
    problems
}

fn taken(pointer: &str, name: &str) -> Problem {
    Problem::setting(
        pointer,
        format!(
            "somebody else is called `{name}` already, and principals of the two could not be told apart"
        ),
        "choose another name",
    )
}
