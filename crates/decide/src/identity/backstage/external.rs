//! A caller from outside, by an entry of Backstage's configuration; or one of its plugins, or a user by a cookie.
//!
//! Every entry is a verifier of its own in the chain, so the first that accepts a token decides, with its restrictions.
//! What an entry does not accept, the next may; a legacy token by its secret that is out of date ends the walk, as in
//! Backstage. Stricter than there: every JWT must have `exp`.
//!
//! A key that is missing must not hand a token to an entry with fewer restrictions. So entries of one URL have one set of
//! keys, and only the first of them whose limits a token fits can accept it; and an entry that names the issuer of the token
//! ends the walk. One that names none may be meant for others: it is waited for once.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use model::{Principal, PrincipalKind};
use serde_json::Value;

use super::entries::{self, Entry, JwksOptions, Proof, in_words};
use super::limited::LimitedUsers;
use super::plugins::Plugin;
use super::restrictions::Tags;
use super::settings::BackstageSettings;
use crate::identity::actor::{self, ClientActs};
use crate::identity::algorithm::Algorithm;
use crate::identity::awaited::Awaited;
use crate::identity::cache::Digest;
use crate::identity::claims::{
    self, Claims, Demands, Registered, check_audience, check_times, fault, has_expired,
};
use crate::identity::credentials::Place;
use crate::identity::fetch::{self, Source};
use crate::identity::fetching::Fetching;
use crate::identity::issuer::Proven;
use crate::identity::jws::Jws;
use crate::identity::keys::{IssuerKeys, Pace};
use crate::identity::refusal::{ClaimFault, Quoted, TokenRefusal};
use crate::identity::signature::{Stop, check_signature};
use crate::identity::static_token;
use crate::identity::verifier::{Answer, Question, Waited};

/// Where these tokens are.
const PLACES: &[Place] = &[Place::Bearer];
/// `sub` of legacy tokens.
const LEGACY_SUBJECT: &str = "backstage-server";
/// What is demanded of the times in a JWT: they may be 30 s off.
const TIMES: Demands = Demands {
    audiences: Vec::new(),
    expiry_leeway: 30.0,
    start_leeway: 30.0,
    max_lifetime: None,
};

/// One entry.
pub(in crate::identity) struct External {
    name: String,
    /// Where the entry is in the configuration: `externalAccess/0`.
    place: String,
    tags: Tags,
    method: Method,
}

/// How its caller is known.
enum Method {
    Static(Box<Proven>, Digest),
    Legacy { secret: Box<hmac::Key>, subject: String },
    Jwks(Box<Published>),
    Plugin(Plugin),
    Limited(Box<LimitedUsers>),
}

/// JWTs by published keys.
struct Published {
    options: Arc<JwksOptions>,
    /// Those of the entries before this one that have the same keys.
    earlier: Vec<Arc<JwksOptions>>,
    keys: Arc<IssuerKeys>,
    /// The subjects that the configuration gives to callers of other entries.
    taken: Arc<HashSet<String>>,
}

/// The keys of every URL, and the entries that have them.
#[derive(Default)]
struct Sources(HashMap<String, (Arc<IssuerKeys>, Vec<Arc<JwksOptions>>)>);

impl Sources {
    /// The keys for one more entry, called `label`, and the earlier entries with the same.
    fn add(
        &mut self,
        label: &str,
        options: &Arc<JwksOptions>,
        fetching: &Fetching<'_>,
    ) -> (Arc<IssuerKeys>, Vec<Arc<JwksOptions>>) {
        let (keys, entries) = self.0.entry(options.url.clone()).or_insert_with(|| {
            let source = Source {
                issuer: options.url.clone(),
                place: fetch::Place::Urls(vec![options.url.clone()]),
            };
            (fetching.keys(label, source, Pace::USUAL), Vec::new())
        });
        let earlier = entries.clone();
        entries.push(Arc::clone(options));
        (Arc::clone(keys), earlier)
    }
}

impl External {
    /// All entries of (validated) settings, in the order in which they are asked; fetching of keys begins at once.
    pub(in crate::identity) fn all(settings: &BackstageSettings, fetching: &Fetching<'_>) -> Vec<Self> {
        let (entries, _) = entries::read(settings);
        let name = &settings.name;
        let subjects = entries.iter().filter_map(|entry| entry.proof.subject());
        let taken = Arc::new(subjects.map(str::to_owned).collect::<HashSet<_>>());
        let mut sources = Sources::default();
        let entries: Vec<Self> = entries
            .into_iter()
            .map(|entry| Self::new(name, entry, &taken, &mut sources, fetching))
            .collect();
        let plugins = settings.plugins.iter().enumerate().map(|(index, plugin)| {
            let place = format!("plugins/{index}");
            let label = format!("{name}/{place}");
            let plugin = Plugin::new(&label, plugin, settings, &TIMES, fetching);
            Self {
                name: name.clone(),
                place,
                tags: Tags::new(),
                method: Method::Plugin(plugin),
            }
        });
        let limited = settings.limited_users.iter().map(|limited| {
            let place = "limited_users".to_owned();
            let label = format!("{name}/{place}");
            let limited = LimitedUsers::new(name, &label, limited, fetching);
            Self {
                name: name.clone(),
                place,
                tags: Tags::new(),
                method: Method::Limited(Box::new(limited)),
            }
        });
        entries.into_iter().chain(plugins).chain(limited).collect()
    }

    fn new(
        name: &str,
        entry: Entry,
        taken: &Arc<HashSet<String>>,
        sources: &mut Sources,
        fetching: &Fetching<'_>,
    ) -> Self {
        let Entry { place, tags, proof } = entry;
        let method = match proof {
            Proof::Static { token, subject } => {
                let proven = Proven {
                    principal: Arc::new(Principal {
                        roles: tags.clone(),
                        ..Principal::new(PrincipalKind::Robot, name, &subject)
                    }),
                    registered: Registered::without_end(&subject),
                    signed_with: None,
                };
                Method::Static(Box::new(proven), token)
            }
            Proof::Legacy { secret, subject } => Method::Legacy { secret, subject },
            Proof::Jwks(options) => {
                let options = Arc::new(options);
                let (keys, earlier) = sources.add(&format!("{name}/{place}"), &options, fetching);
                Method::Jwks(Box::new(Published {
                    options,
                    earlier,
                    keys,
                    taken: Arc::clone(taken),
                }))
            }
        };
        Self {
            name: name.to_owned(),
            place,
            tags,
            method,
        }
    }

    /// Judges a token.
    pub(in crate::identity) fn answer(&self, question: &Question<'_>) -> Answer {
        match (&self.method, &question.jws) {
            (Method::Static(proven, token), _) if static_token::is_same(token, &question.digest) => {
                Answer::Verified(proven.clone())
            }
            (Method::Legacy { secret, subject }, Ok(jws)) if is_legacy(jws) => {
                self.legacy(jws, secret, subject, question)
            }
            (Method::Jwks(published), Ok(jws)) if is_foreign(jws) => self.published(jws, published, question),
            (Method::Plugin(plugin), Ok(jws)) if plugin.made(jws) => own(self.plugin(jws, plugin, question)),
            (Method::Limited(limited), Ok(jws)) if limited.made(jws) => {
                own(limited.judge(jws, &TIMES, question))
            }
            _ => Answer::NotMine,
        }
    }

    /// True for the static token of this entry.
    pub(in crate::identity) fn knows(&self, presented: &Digest) -> bool {
        matches!(&self.method, Method::Static(_, token) if static_token::is_same(token, presented))
    }

    /// True if its tokens are JWTs.
    pub(in crate::identity) fn takes_jwts(&self) -> bool {
        !matches!(self.method, Method::Static(..))
    }

    /// Short name.
    pub(in crate::identity) fn name(&self) -> &str {
        &self.name
    }

    /// Where its tokens may be.
    pub(in crate::identity) fn places(&self) -> &[Place] {
        match &self.method {
            Method::Limited(limited) => &limited.places,
            _ => PLACES,
        }
    }

    /// Its keys, if they are fetched.
    pub(in crate::identity) fn keys(&self) -> Option<&Arc<IssuerKeys>> {
        match &self.method {
            Method::Jwks(published) => Some(&published.keys),
            Method::Plugin(plugin) => Some(&plugin.keys),
            Method::Limited(limited) => Some(&limited.keys),
            Method::Static(..) | Method::Legacy { .. } => None,
        }
    }

    /// How logs and reports name those keys.
    pub(in crate::identity) fn label(&self) -> String {
        format!("{}/{}", self.name, self.place)
    }

    /// True while what was proven to this entry is still true. `now` in Unix seconds.
    pub(in crate::identity) fn still_holds(&self, proven: &Proven, now: f64) -> bool {
        let keys = self.keys();
        !has_expired(proven.registered.expires_at, TIMES.expiry_leeway, now)
            && keys.is_none_or(|keys| keys.still_vouch_for(proven))
    }

    fn legacy(&self, jws: &Jws<'_>, secret: &hmac::Key, subject: &str, question: &Question<'_>) -> Answer {
        if hmac::verify(secret, jws.signed.as_bytes(), &jws.signature).is_err() {
            return self.not_accepted(TokenRefusal::Signature(Quoted::new("secret")));
        }
        let claims = Claims(&jws.claims);
        // From here on it is ours and nobody else's.
        let proven = claims.refuse_bound().and_then(|()| {
            let audiences = Vec::new();
            self.proven(claims, subject.to_owned(), audiences, question)
        });
        match proven {
            Ok(proven) => Answer::Verified(Box::new(proven)),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// What costs nothing first, so that a hopeless token neither waits for a fetch nor causes one.
    fn published(&self, jws: &Jws<'_>, published: &Published, question: &Question<'_>) -> Answer {
        let Published {
            options,
            earlier,
            keys,
            taken,
        } = published;
        let unsigned = match self.unsigned(jws, options, question) {
            Ok(unsigned) => unsigned,
            Err(refusal) => return self.not_accepted(refusal),
        };
        let fits = |options: &Arc<JwksOptions>| self.unsigned(jws, options, question).is_ok();
        match check_signature(keys, jws) {
            Ok(_) if earlier.iter().any(fits) => {
                // That entry has looked for the key a moment ago; its restrictions count.
                let why = "they changed while they were looked at".to_owned();
                Answer::NotYet(TokenRefusal::KeysUnavailable(why), None)
            }
            Ok(_) if taken.contains(&unsigned.registered.subject) => {
                let free = "a name that no other entry of the configuration gives to its caller";
                Answer::Refused(fault("sub", ClaimFault::Not(free)))
            }
            Ok(signed_with) => Answer::Verified(Box::new(Proven {
                signed_with: Some(signed_with),
                ..unsigned
            })),
            Err(Stop::Refused(refusal)) => self.not_accepted(refusal),
            Err(Stop::NoKey(refusal, wanted)) => {
                let waits = wanted.is_some() && question.waited == Waited::No;
                match options.issuers.is_empty() && !waits {
                    true => self.not_accepted(refusal),
                    false => Answer::NotYet(refusal, wanted.map(Awaited::from)),
                }
            }
        }
    }

    /// What a token says of its bearer, if it fits the limits of an entry. It counts with a good signature only.
    fn unsigned(
        &self,
        jws: &Jws<'_>,
        options: &JwksOptions,
        question: &Question<'_>,
    ) -> Result<Proven, TokenRefusal> {
        let claims = Claims(&jws.claims);
        if !options.issuers.is_empty() {
            let issuer = claims.text("iss")?.ok_or(fault("iss", ClaimFault::Missing))?;
            if !options.issuers.iter().any(|known| known == issuer) {
                return Err(TokenRefusal::UnknownIssuer(Quoted::new(issuer)));
            }
        }
        if !options.algorithms.contains(&jws.algorithm) {
            return Err(TokenRefusal::AlgorithmNotAllowed(jws.algorithm));
        }
        for (name, values) in &options.claims {
            if !has_one_of(jws.claims.get(name), values) {
                return Err(TokenRefusal::ClaimValue(name.clone()));
            }
        }
        claims.refuse_bound()?;
        let subject = claims.name("sub")?.ok_or(fault("sub", ClaimFault::Missing))?;
        if subject.trim() != subject {
            return Err(fault("sub", ClaimFault::EdgeBlank));
        }
        let audiences = if options.audiences.is_empty() {
            let named = claims.audiences()?.unwrap_or_default();
            named.into_iter().map(str::to_owned).collect()
        } else {
            check_audience(claims, &options.audiences)?
        };
        let subject = format!("{}{subject}", options.subject_prefix);
        self.proven(claims, subject, audiences, question)
    }

    fn plugin(&self, jws: &Jws<'_>, plugin: &Plugin, question: &Question<'_>) -> Result<Proven, Stop> {
        let called = plugin.judge(jws, question)?;
        Ok(Proven {
            principal: Arc::new(Principal {
                roles: called.tags,
                audiences: called.registered.audiences.clone(),
                ..Principal::new(PrincipalKind::Robot, &self.name, &called.subject)
            }),
            registered: called.registered,
            signed_with: Some(called.signed_with),
        })
    }

    /// What a JWT says of its bearer, once its times were checked. It counts with a good signature only.
    fn proven(
        &self,
        claims: Claims<'_>,
        subject: String,
        audiences: Vec<String>,
        question: &Question<'_>,
    ) -> Result<Proven, TokenRefusal> {
        let now = claims::unix_seconds(question.now);
        let (expires_at, issued_at) = check_times(claims, &TIMES, now)?;
        let kind = PrincipalKind::Robot;
        let issuer = (self.name.as_str(), claims.text("iss")?.unwrap_or_default());
        let actors = actor::actors(claims, issuer, kind, None, ClientActs::No)?;
        Ok(Proven {
            principal: Arc::new(Principal {
                roles: self.tags.clone(),
                audiences: audiences.clone(),
                actors,
                ..Principal::new(kind, &self.name, &subject)
            }),
            registered: Registered {
                audiences,
                expires_at,
                issued_at,
                token_id: claims.name("jti")?.map(str::to_owned),
                ..Registered::without_end(&subject)
            },
            signed_with: None,
        })
    }

    fn not_accepted(&self, refusal: TokenRefusal) -> Answer {
        Answer::NotAccepted(TokenRefusal::NoEntry {
            entry: self.place.clone(),
            reason: Box::new(refusal),
        })
    }
}

/// The answer about a token that is mine and nobody else's.
fn own(judged: Result<Proven, Stop>) -> Answer {
    match judged {
        Ok(proven) => Answer::Verified(Box::new(proven)),
        Err(Stop::Refused(refusal)) => Answer::Refused(refusal),
        Err(Stop::NoKey(refusal, wanted)) => Answer::NotYet(refusal, wanted.map(Awaited::from)),
    }
}

/// A legacy token by what it says of itself: `HS256`, of Backstage, for nobody in particular.
fn is_legacy(jws: &Jws<'_>) -> bool {
    let addressed = match jws.claims.get("aud") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(aud)) => !aud.is_empty(),
        Some(Value::Number(aud)) => aud.as_f64() != Some(0.0),
        Some(Value::Bool(true) | Value::Array(_) | Value::Object(_)) => true,
    };
    let of_backstage = matches!(jws.claims.get("sub"), Some(Value::String(sub)) if sub == LEGACY_SUBJECT);
    jws.algorithm == Algorithm::Hs256
        && matches!(jws.typ.as_deref(), None | Some("jwt"))
        && of_backstage
        && !addressed
}

/// A JWT by a published key, for any purpose or an access token (RFC 8725 section 3.11): above all, none of Backstage's
/// own.
fn is_foreign(jws: &Jws<'_>) -> bool {
    jws.algorithm.hmac().is_none() && matches!(jws.typ.as_deref(), None | Some("jwt" | "at+jwt"))
}

/// True if the claim is one of the values or has one: a text its words, too, and an array its entries.
fn has_one_of(claim: Option<&Value>, values: &[String]) -> bool {
    let wanted = |text: &str| values.iter().any(|value| value == text);
    match claim {
        None => false,
        Some(Value::String(text)) => wanted(text) || text.split(' ').any(wanted),
        Some(Value::Array(entries)) => entries.iter().filter_map(in_words).any(|entry| wanted(&entry)),
        Some(other) => in_words(other).is_some_and(|text| wanted(&text)),
    }
}

/// Without what is secret.
impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("External").field(&self.label()).finish()
    }
}
