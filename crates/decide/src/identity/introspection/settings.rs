//! What is configured per introspection endpoint, and what can be wrong with it.

use std::collections::HashSet;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::identity::credentials::Place;
use crate::identity::mapping::ClaimMapping;
use crate::identity::settings::{acceptable_url, bearer, short_name};
use crate::problem::Problem;

/// An endpoint that is asked about opaque access tokens (RFC 7662).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionSettings {
    /// Short name of who issues these tokens: lower-case letters, digits and `-`. It is part of every id in the
    /// policies (`User::"main/…"`), so changing it changes who everybody is.
    pub name: String,
    /// The introspection endpoint: `https`, or `http` on this very host. The tokens are sent there.
    pub url: String,
    /// Our own client id at the authorization server.
    pub client_id: String,
    /// The secret of that client, sent as HTTP Basic authentication (RFC 6749 section 2.3.1).
    #[schemars(with = "String", extend("writeOnly" = true))]
    pub client_secret: SecretString,
    /// If set, the answer must have exactly this `iss`.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The names we go by in `aud`. The answer must name one of them, exactly; one without `aud` is refused.
    pub audiences: Vec<String>,
    /// How the tokens of this issuer begin. Others are not sent to the endpoint. With more than one endpoint each needs
    /// a prefix.
    #[serde(default)]
    pub token_prefix: Option<String>,
    /// Where tokens of this issuer may be. Default: `[bearer]`, the `Authorization` header.
    #[serde(default = "bearer")]
    pub credentials: Vec<Place>,
    /// For how many seconds an answer is believed, 1 to 3600; never beyond the token's `exp`. A revoked token works for
    /// at most that long.
    #[serde(default = "number::<60>")]
    pub cache_seconds: u64,
    /// Where the members of an answer are, if not where RFC 7662 has them. Roles count only if `roles` says where they are.
    /// Without `type`, a subject that is not the client and shows no mark of a person (a user name, a session, a login) is
    /// refused; `type: {otherwise: User}` makes it a user.
    #[serde(default)]
    pub claims: ClaimMapping,
    /// How many requests to the endpoint may be under way at a time, 1 to 1024; a quarter of them for tokens that were
    /// active lately. While so many are, further tokens are refused at once.
    #[serde(default = "number::<32>")]
    pub max_in_flight: u64,
    /// After how many seconds an answer is no longer waited for, 1 to 30.
    #[serde(default = "number::<3>")]
    pub timeout_seconds: u64,
}

fn number<const N: u64>() -> u64 {
    N
}

/// All problems of the list `introspection` of the configuration, at once.
pub(in crate::identity) fn validate(settings: &[IntrospectionSettings]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut names = HashSet::new();
    for (index, one) in settings.iter().enumerate() {
        let mut problem = |field: &str, message: &str, help: &str| {
            problems.push(Problem::setting(
                format!("/introspection/{index}/{field}"),
                message,
                help,
            ));
        };
        if !names.insert(&one.name) {
            problem(
                "name",
                "another introspection endpoint has the same name",
                "two of them must not mint the same ids",
            );
        }
        let mut before = settings.iter().take(index);
        if before.any(|other| overlap(prefix(one), prefix(other))) {
            problem(
                "token_prefix",
                "tokens that begin so are those of another endpoint, too",
                "a token must not be shown to somebody else's endpoint: give each a prefix of its own",
            );
        }
        check(one, &mut problem);
    }
    problems
}

fn prefix(settings: &IntrospectionSettings) -> &str {
    settings.token_prefix.as_deref().unwrap_or("")
}

fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn check(settings: &IntrospectionSettings, problem: &mut impl FnMut(&str, &str, &str)) {
    if let Err(message) = short_name(&settings.name) {
        problem("name", message, "for example `main`");
    }
    if settings.credentials.is_empty() {
        problem(
            "credentials",
            "tokens that may be nowhere are never found",
            "leave it out for the Authorization header",
        );
    }
    for (field, message) in settings.claims.validate() {
        problem(
            &format!("claims/{field}"),
            message,
            "a name, or a JSON pointer such as `/realm/name`",
        );
    }
    for (index, place) in settings.credentials.iter().enumerate() {
        if let Err((message, help)) = place.validate() {
            problem(&format!("credentials/{index}"), message, help);
        }
    }
    if let Err(why) = acceptable_url(&settings.url) {
        problem(
            "url",
            &format!("the URL {why}"),
            "it is the `introspection_endpoint` in the metadata of the authorization server",
        );
    }
    let secret = settings.client_secret.expose_secret();
    for (field, value) in [
        ("client_id", settings.client_id.as_str()),
        ("client_secret", secret),
    ] {
        if value.is_empty() {
            problem(
                field,
                "it is empty",
                "register a client of our own that may introspect tokens",
            );
        }
    }
    if settings.issuer.as_deref() == Some("") {
        problem(
            "issuer",
            "the issuer is empty",
            "leave it out if answers have no `iss`",
        );
    }
    if settings.audiences.is_empty() || settings.audiences.iter().any(String::is_empty) {
        problem(
            "audiences",
            "the audiences must be at least one name, and no empty one",
            "a token for another service must not be good here; ask the issuer to put our name into `aud`",
        );
    }
    let in_tokens = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    if let Some(prefix) = &settings.token_prefix
        && (prefix.is_empty() || !prefix.bytes().all(in_tokens))
    {
        problem(
            "token_prefix",
            "no bearer token begins so (RFC 6750 section 2.1)",
            "for example `pat-`; leave it out if the tokens have nothing in common",
        );
    }
    for (field, value, most) in [
        ("cache_seconds", settings.cache_seconds, 3600),
        ("max_in_flight", settings.max_in_flight, 1024),
        ("timeout_seconds", settings.timeout_seconds, 30),
    ] {
        if !(1..=most).contains(&value) {
            problem(
                field,
                &format!("it is not between 1 and {most}"),
                "leave it out for the default",
            );
        }
    }
}
