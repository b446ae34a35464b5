//! What can be wrong with Backstage's configuration of service tokens.
//!
//! The texts of the first half are Backstage's own, to the letter: people search for them. The rest is what we demand
//! beyond that.

use crate::identity::algorithm::Algorithm;
use crate::problem::{Problem, did_you_mean};

/// Shortest static token, in characters, as in Backstage.
pub(super) const MIN_TOKEN_CHARACTERS: usize = 8;
/// Length of a static token from which on it gets no advice, in characters.
pub(super) const GOOD_TOKEN_CHARACTERS: usize = 16;
/// Shortest secret of legacy tokens, in bytes.
pub(super) const MIN_SECRET_BYTES: usize = 16;
/// Length of a secret from which on it gets no advice, in bytes (RFC 7518 section 3.2).
pub(super) const GOOD_SECRET_BYTES: usize = 32;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error(
        "Invalid key '{0}' in 'accessRestrictions' config, expected one of 'plugin', 'permission', 'permissionAttribute'"
    )]
    RestrictionKey(String),
    #[error("Attempted to declare 'accessRestrictions' twice for plugin '{0}', which is not permitted")]
    PluginTwice(String),
    #[error("Invalid key '{0}' in 'permissionAttribute' config, expected 'action'")]
    AttributeKey(String),
    #[error(
        "Invalid value '{0}' at 'action' in 'permissionAttributes' config, valid values are 'create', 'read', 'update', 'delete'"
    )]
    Action(String),
    #[error("Unknown type '{0}' in backend.auth.externalAccess, expected one of 'static', 'legacy', 'jwks'")]
    Type(String),
    #[error("Illegal token, must be a set of non-space characters")]
    TokenBlank,
    #[error("Illegal token, must be at least {MIN_TOKEN_CHARACTERS} characters length")]
    TokenShort,
    #[error("Static externalAccess token was declared more than once")]
    TokenTwice,
    #[error("Illegal subject, must be a set of non-space characters")]
    Subject,
    #[error("Illegal secret, must be a valid base64 string")]
    Secret,
    #[error("Illegal JWKS URL, must be a set of non-space characters")]
    JwksUrl,
    #[error(
        "Invalid value for 'claims.{0}' in JWKS external access config, expected a non-empty string, number, boolean, or array of those"
    )]
    Claim(String),

    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{name}` must be {expected}")]
    Not {
        name: &'static str,
        expected: &'static str,
    },
    #[error("there is no setting `{0}` here")]
    UnknownKey(String, &'static [&'static str]),
    #[error("`{0}` is empty, which Backstage takes for no limit at all")]
    NoLimit(&'static str),
    #[error("'{0}' is no plugin id")]
    Plugin(String),
    #[error("'{0}' is no name of a permission")]
    Permission(String),
    #[error("the token has a character that no bearer token has, so nobody could present it")]
    TokenCharacter,
    #[error("the secret has only {0} bytes, and could be guessed from any token")]
    SecretShort(usize),
    #[error("the subject cannot be part of an id")]
    SubjectName,
    #[error("the URL {0}")]
    Url(&'static str),
    #[error("the algorithm '{0}' is not supported")]
    Algorithm(String),
    #[error("callers of this entry may have the ids of those of another one")]
    SharedSubjects,

    #[error("the token has less than {GOOD_TOKEN_CHARACTERS} characters")]
    TokenGuessable,
    #[error("the secret has only {0} bytes; HS256 wants {GOOD_SECRET_BYTES}")]
    SecretWeak(usize),
    #[error("the tokens of this entry may be for anybody")]
    NoAudience,
    #[error("tokens of the entries behind this one wait for its keys")]
    AnyIssuer,
    #[error("`backend.auth.keys` is deprecated in Backstage; its callers are `external:backstage-plugin`")]
    OldKeys,
}

impl Fault {
    /// The problem at that JSON pointer below `/backstage`.
    pub(super) fn at(&self, pointer: &str) -> Problem {
        let (pointer, message, help) = (format!("/backstage{pointer}"), self.to_string(), self.help());
        match self {
            Self::RestrictionKey(_) | Self::AttributeKey(_) | Self::UnknownKey(..) => {
                Problem::name(pointer, message, help)
            }
            Self::TokenGuessable
            | Self::SecretWeak(_)
            | Self::NoAudience
            | Self::AnyIssuer
            | Self::OldKeys => Problem::setting(pointer, message, help).advice(),
            _ => Problem::setting(pointer, message, help),
        }
    }

    fn help(&self) -> String {
        let text = match self {
            Self::UnknownKey(name, known) => {
                let meant = did_you_mean(name, known.iter().copied());
                return match meant.is_empty() {
                    true => format!("here are known: {}", known.join(", ")),
                    false => meant,
                };
            }
            Self::Algorithm(_) => {
                let names = Algorithm::ASYMMETRIC.map(Algorithm::as_str);
                return format!("supported are {}", names.join(", "));
            }
            Self::RestrictionKey(_) | Self::Action(_) | Self::Type(_) => "",
            Self::PluginTwice(_) => "put everything about a plugin into one entry of the list",
            Self::AttributeKey(_) => "for example `permissionAttribute: { action: read }`",
            Self::TokenBlank | Self::TokenShort | Self::TokenCharacter | Self::TokenGuessable => {
                "for example the output of `openssl rand -hex 32`"
            }
            Self::TokenTwice => "whose it is would be a guess: give every caller a token of its own",
            Self::Subject | Self::SubjectName => "for example `ci`",
            Self::Secret | Self::SecretShort(_) | Self::SecretWeak(_) => {
                "for example the output of `openssl rand -base64 32`"
            }
            Self::JwksUrl | Self::Url(_) => "for example `https://id.example.test/.well-known/jwks.json`",
            Self::Claim(_) => "for example `claims: { repository: [org/one, org/two] }`",
            Self::Missing(_) | Self::Not { .. } => {
                "see Backstage's documentation of `backend.auth.externalAccess`"
            }
            Self::NoLimit(_) => "leave it out if there shall be none",
            Self::Plugin(_) => "letters, digits, `_` and `-`, for example `catalog`",
            Self::Permission(_) => {
                "for example `catalog.entity.read`; without `permission`, all of the plugin"
            }
            Self::NoAudience => "set `audience` to the name that tokens for Backstage have in `aud`",
            Self::SharedSubjects => "give each `jwks` entry a `subjectPrefix` of its own",
            Self::AnyIssuer => {
                "set `issuer`: then only its own tokens do, and without its keys no other entry takes them"
            }
            Self::OldKeys => "write an entry of `externalAccess` with `type: legacy`",
        };
        text.to_owned()
    }
}
