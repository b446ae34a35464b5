//! Why a credential was refused: for the log, never for the caller, who only ever reads `invalid_token`.
//!
//! No text made here contains a token. What a client wrote is quoted and cut ([`Quoted`]).

use std::fmt;

use model::PathRefusal;

use super::algorithm::Algorithm;
use super::credentials::MAX_TOKEN_BYTES;

/// A credential was presented and is not believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What is wrong with it.
    pub reason: TokenRefusal,
    /// Short name of the issuer it claims to come from, if that is one of ours.
    pub issuer: Option<String>,
}

/// Everything that can be wrong with a bearer token.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TokenRefusal {
    /// Several `Authorization` headers (RFC 6750 section 2): which one counts would be a guess.
    #[error("{0} Authorization headers were sent; only one can be believed")]
    SeveralCredentials(usize),
    /// Credentials in several places that are looked at, or one twice.
    #[error("several credentials were sent, and only one can be believed: send one, in one place")]
    SeveralPlaces,
    /// The query of the request, where a token may be, can be read in more than one way.
    #[error("the query may have a token and can be read in more than one way")]
    UnreadableQuery,
    /// Another scheme than `Bearer`, or none.
    #[error("the Authorization header does not use the Bearer scheme")]
    Scheme,
    /// `Bearer` and nothing behind it.
    #[error("there is no token behind the Bearer scheme")]
    NoToken,
    /// A blank, a control character, or one that is not ASCII.
    #[error("the token has the byte 0x{0:02X}, which no token has")]
    Character(u8),
    /// Longer than any token that is worth reading.
    #[error("the token has {0} bytes (limit {MAX_TOKEN_BYTES})")]
    TooLong(usize),
    /// It may be good, but not where it was: the settings of its issuer name other places.
    #[error("the token is not where tokens of its issuer may be (see `credentials` of that issuer)")]
    WrongPlace,
    /// No JWT, and nobody else knows it.
    #[error("the token is not a JWT ({0}), and nothing else that is configured knows it")]
    Unknown(Box<TokenRefusal>),
    /// It looks like a network token, and the house gave no such token, or replaced or ended it.
    #[error("no network token of this house: it was replaced or ended, or never given")]
    UnknownNetworkToken,
    /// Backstage's plugins make these for each other.
    #[error(
        "this is a token of a Backstage plugin, for the plugin it calls inside Backstage; `backstage.plugins` does not list \
         the caller, and a caller from outside needs an entry in `externalAccess`"
    )]
    BackstagePlugin,
    /// A plugin's token for a call that it makes for a user (`obo`).
    #[error(
        "this is a token of a Backstage plugin that acts for somebody else (`obo`), which is not supported"
    )]
    BackstageOnBehalf,
    /// A limited user token: it only serves in the cookie of Backstage itself, where the settings take it from there.
    #[error(
        "this is a limited user token of Backstage (from its cookie); the client must send the user's whole token, or \
         `backstage.limited_users` must take limited ones from the cookie"
    )]
    BackstageLimitedUser,
    /// No issuer's, and none of Backstage's entries accepts it.
    #[error(
        "the token is of no configured issuer, and no entry of Backstage's `backend.auth` accepts it; what is wrong for \
         `{entry}`: {reason}"
    )]
    NoEntry {
        /// One of the entries: the last that looked at it, or the last that has no keys.
        entry: String,
        /// Why that entry does not accept it.
        reason: Box<TokenRefusal>,
    },
    /// A claim without any of the values that the settings list.
    #[error("claim {0:?} has none of the values that `claims` lists")]
    ClaimValue(String),
    /// Not a compact JWS (RFC 7515 section 7.1).
    #[error("the token has {0} segments, a signed JWT has 3")]
    Segments(usize),
    /// The first segment is something else than a JSON object: this never was a JWT.
    #[error("the token does not begin with a JOSE header")]
    NoHeader,
    /// Padding, foreign characters, or unused bits that are not zero (RFC 4648 section 3.5).
    #[error("the {0} of the token is not canonical base64url")]
    Base64(Part),
    /// Not JSON, or JSON that two parsers could read differently.
    #[error("the {part} of the token is not strict JSON: {why}")]
    Json {
        /// Which part of the token.
        part: Part,
        /// What the parser says.
        why: String,
    },
    /// A required header parameter is missing or has the wrong shape.
    #[error("header parameter `{name}` must be {expected}")]
    Header {
        /// The parameter.
        name: &'static str,
        /// The shape it should have.
        expected: &'static str,
    },
    /// A header parameter that changes the meaning of the token in ways we do not follow.
    #[error("the header has `{0}`, which is never accepted")]
    HeaderForbidden(&'static str),
    /// `alg` is none of ours; `none` and every HMAC are among the others.
    #[error("the algorithm {0} is not supported")]
    UnknownAlgorithm(Quoted),
    /// `typ` names another kind of JWT (RFC 8725 section 3.11), or none where one is demanded.
    #[error("a token of type {0} is not an access token of this issuer")]
    TokenType(Quoted),
    /// `iss` is not the exact name of a configured issuer.
    #[error("no issuer {0} is configured")]
    UnknownIssuer(Quoted),
    /// The issuer's settings do not list the algorithm.
    #[error("{0} is not among the algorithms of this issuer")]
    AlgorithmNotAllowed(Algorithm),
    /// The issuer publishes no usable key of that name.
    #[error("no key {kid} in the JWKS (keys: {known})")]
    UnknownKey {
        /// The name in the token.
        kid: Quoted,
        /// The names that would be found.
        known: String,
    },
    /// The key exists, but belongs to another algorithm.
    #[error("key {kid} is not for {algorithm}")]
    KeyAlgorithm {
        /// The name in the token.
        kid: Quoted,
        /// The algorithm in the token.
        algorithm: Algorithm,
    },
    /// There are no keys, or they are older than `max_stale_seconds`.
    #[error("the keys are not at hand: {0}")]
    KeysUnavailable(String),
    /// The introspection endpoint gave no answer that could be used.
    #[error("the introspection endpoint could not be asked about the token: {0}")]
    IntrospectionUnavailable(String),
    /// The introspection endpoint does not vouch for the token (RFC 7662 section 2.2).
    #[error(
        "the introspection endpoint says that the token is not active: it has expired, was revoked, or is not its own"
    )]
    Inactive,
    /// The signature is not one by that key over these bytes.
    #[error("the signature does not verify with key {0}")]
    Signature(Quoted),
    /// A claim is missing, or does not parse; what does not parse is not absent.
    #[error("claim `{name}` {fault}")]
    Claim {
        /// The claim.
        name: &'static str,
        /// What is wrong with it.
        fault: ClaimFault,
    },
    /// `exp` has passed (RFC 7519 section 4.1.4).
    #[error("the token expired {ago:.0} s ago (exp {exp:.0}, leeway {leeway:.0} s)")]
    Expired {
        /// Seconds since then.
        ago: f64,
        /// Unix seconds.
        exp: f64,
        /// Seconds.
        leeway: f64,
    },
    /// `nbf` or `iat` lies in the future.
    #[error("the token starts in {ahead:.0} s (claim `{name}`, leeway {leeway:.0} s)")]
    NotYetValid {
        /// `nbf` or `iat`.
        name: &'static str,
        /// Seconds until then.
        ahead: f64,
        /// Seconds.
        leeway: f64,
    },
    /// `nbf` lies after `exp`.
    #[error("the token ends before it starts (nbf {nbf:.0}, exp {exp:.0})")]
    EndsBeforeItStarts {
        /// Unix seconds.
        nbf: f64,
        /// Unix seconds.
        exp: f64,
    },
    /// `aud` names others only.
    #[error("the token is for {0}, not for us")]
    Audience(String),
    /// `cnf` (RFC 7800): the token is worth nothing without a proof of possession that we do not check.
    #[error("the token is bound to its sender (`cnf`) and cannot be used as a bearer token")]
    SenderConstrained,
    /// `act.iss` (RFC 8693 section 4.1) is not the token's own issuer: whom its subject means would be a guess.
    #[error("the actor in `act` is somebody of another issuer")]
    ForeignActor,
    /// A claim that the settings demand.
    #[error("claim {0:?} is missing; `required_claims` of the issuer demands it")]
    RequiredClaim(String),
    /// A claim that an identity header shows has more than one spelling.
    #[error(
        "claim {0:?}, which an identity header shows, is neither a text without control characters nor a number nor a boolean"
    )]
    ExposedClaim(String),
    /// From `iat` to `exp` is longer than `max_lifetime_seconds`.
    #[error("the token lives for {lifetime:.0} s, longer than the {limit} s that this issuer's tokens may")]
    LivesTooLong {
        /// Seconds from `iat` to `exp`.
        lifetime: f64,
        /// Seconds.
        limit: u64,
    },
    /// The header has no `kid`, and the issuer's settings or keys demand one.
    #[error("the token names no key (`kid`), and {0}")]
    KidMissing(&'static str),
    /// The claim that tells users, clients and robots apart does not say it.
    #[error("the claim {claim:?} says {} and `claims.type` does not know what that is", value.as_ref().map_or("nothing".to_owned(), ToString::to_string))]
    UnknownType {
        /// The configured path.
        claim: String,
        /// What stands there.
        value: Option<Quoted>,
    },
    /// A claim that only ID tokens have (OpenID Connect Core section 2): it says who logged in, to the client alone.
    #[error("this is an ID token (it has `{0}`), not an access token; the client must send its access token")]
    IdToken(&'static str),
    /// Nothing says that it is an access token, so it may be an ID token: those are for the client alone.
    #[error(
        "nothing marks this as an access token: neither the type `at+jwt` nor the claims `client_id` or `scope`; an \
         ID token is not for us"
    )]
    NotAnAccessToken,
    /// Keycloak's claim `typ` says what the token is for; only `Bearer` is for us.
    #[error("a Keycloak token of type {0} is not an access token")]
    KeycloakType(Quoted),
    /// The profile of the issuer demands more of a claim than JWT does.
    #[error(
        "claim `{name}` {fault}, which the profile of this issuer does not allow; the issuer must correct its tokens"
    )]
    ProfileClaim {
        /// The claim.
        name: &'static str,
        /// What is wrong with it.
        fault: ClaimFault,
    },
    /// The token follows another version of its profile than ours.
    #[error(
        "claim `{name}` is {found}, but only {known} is understood; the issuer must use another profile or version"
    )]
    ProfileVersion {
        /// The claim that says the version.
        name: &'static str,
        /// What it says.
        found: Quoted,
        /// The versions that are understood.
        known: &'static str,
    },
    /// A scope that grants something has no certain meaning: the whole token is refused, because what it was meant to
    /// be limited to is unknown.
    #[error("the scope {scope} {fault}, so the whole token is refused; the issuer must correct the scope")]
    Scope {
        /// The scope.
        scope: Quoted,
        /// What is wrong with it.
        fault: ScopeFault,
    },
    /// A delegated token about somebody whose issuer is not configured any more.
    #[error("it was exchanged for a token of {0}, and no issuer of that name is configured")]
    OriginUnknown(Quoted),
    /// Only what an issuer signed can be exchanged: its claims say whether it may be.
    #[error("only JWTs of a configured issuer can be exchanged")]
    NotExchangeable,
    /// The token describes neither a user nor a client nor a robot.
    #[error(
        "the token is good, but describes neither a user (no `sid`, no `auth_time`) nor a client nor a robot"
    )]
    Nobody,
}

/// A part of a compact JWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Payload,
    /// The signature.
    Signature,
}

/// What can be wrong with a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimFault {
    /// Required, and not there.
    Missing,
    /// Present with another JSON type than the one in the text; `null` is another type, too.
    Not(&'static str),
    /// An empty string where a name is needed.
    Empty,
    /// A name longer than 1024 bytes.
    TooLong,
    /// More than 1000 entries.
    TooMany,
    /// A control character, which would split headers, log lines and SQL texts.
    Control,
    /// A blank at an end, which HTTP would trim away.
    EdgeBlank,
    /// A time before 1970 or after the year 9999.
    OutOfRange,
}

/// What can be wrong with a scope that grants something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeFault {
    /// A path is required (`/` for everything), and there is none.
    #[error("has no path (`/` would be everything)")]
    NoPath,
    /// There is a path where none is defined, so that it cannot be told what it limits.
    #[error("has a path where none is defined")]
    StrayPath,
    /// A path with a query, which no directory and no file has.
    #[error("has a query in its path")]
    Query,
    /// The path could be read in several ways, or does not begin with a slash.
    #[error("has no certain path: {0}")]
    Path(PathRefusal),
}

/// A string that somebody else wrote: quoted, escaped, and cut to 100 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Keeps what will be shown of `text`.
    pub fn new(text: &str) -> Self {
        Self(text.chars().take(100).collect())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Refused {
    /// True if it is not the credential that is at fault: the keys that could verify it are missing, or the endpoint
    /// that knows it does not answer.
    pub fn is_for_want_of_keys(&self) -> bool {
        self.reason.is_for_want_of_keys()
    }
}

impl TokenRefusal {
    /// See [`Refused::is_for_want_of_keys`].
    pub(super) fn is_for_want_of_keys(&self) -> bool {
        match self {
            Self::KeysUnavailable(_) | Self::IntrospectionUnavailable(_) => true,
            Self::NoEntry { reason, .. } => reason.is_for_want_of_keys(),
            _ => false,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "issuer {issuer:?}: {}", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

impl fmt::Display for ClaimFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Not(expected) => write!(f, "is not {expected}"),
            Self::Empty => f.write_str("is empty"),
            Self::TooLong => f.write_str("is longer than 1024 bytes"),
            Self::TooMany => f.write_str("has more than 1000 entries"),
            Self::Control => f.write_str("has a control character"),
            Self::EdgeBlank => f.write_str("begins or ends with a blank"),
            Self::OutOfRange => f.write_str("is not a time between 1970 and 9999"),
        }
    }
}
