//! What can be wrong with the settings of issuers, all of it at once.

use std::collections::HashSet;
use std::net::IpAddr;

use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::super::algorithm::Algorithm;
use super::{ActorRule, GroupHierarchy, IssuerSettings, Profile};
use crate::problem::Problem;

/// Shortest HMAC secret, in bytes (RFC 7518 section 3.2, for SHA-256).
const MIN_SECRET_BYTES: usize = 32;

/// All problems of the list `issuers` of the configuration, at once.
pub(in crate::identity) fn validate(issuers: &[IssuerSettings]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut names, mut urls) = (HashSet::new(), HashSet::new());
    for (index, settings) in issuers.iter().enumerate() {
        let mut problem = |field: &str, message: &str, help: &str| {
            problems.push(Problem::setting(
                format!("/issuers/{index}/{field}"),
                message,
                help,
            ));
        };
        if !names.insert(&settings.name) {
            problem(
                "name",
                "another issuer has the same name",
                "two issuers must not mint the same ids",
            );
        }
        if !urls.insert(&settings.issuer) {
            problem(
                "issuer",
                "another entry is for the same issuer",
                "put its audiences into one list",
            );
        }
        one(settings, &mut problem);
    }
    problems
}

fn one(settings: &IssuerSettings, problem: &mut impl FnMut(&str, &str, &str)) {
    if let Err(message) = short_name(&settings.name) {
        problem("name", message, "for example `main`");
    }
    match acceptable_url(&settings.issuer) {
        // Nothing is fetched: the name is only compared.
        _ if !settings.hmac_secrets.is_empty() && !settings.issuer.is_empty() => {}
        Err(why) => problem(
            "issuer",
            &format!("the URL {why}"),
            "write it exactly as it stands in `iss` of a token",
        ),
        Ok(url) if url.query().is_some() => {
            problem(
                "issuer",
                "an issuer's URL has no query (OIDC Discovery section 2)",
                "",
            );
        }
        Ok(_) => {}
    }
    keys(settings, problem);
    claims(settings, problem);
    if settings.audiences.is_empty() || settings.audiences.iter().any(String::is_empty) {
        problem(
            "audiences",
            "the audiences must be at least one name, and no empty one",
            "a token for another service must not be good here; ask the issuer to put our name into `aud`",
        );
    }
    if settings.leeway_seconds.is_some_and(|leeway| leeway > 300) {
        problem(
            "leeway_seconds",
            "the leeway is more than 300 seconds",
            "set the clocks instead",
        );
    }
    if settings.min_refresh_interval_seconds == 0 {
        problem(
            "min_refresh_interval_seconds",
            "with 0 anybody could make us flood the issuer",
            "10 is usual",
        );
    }
    if settings.refresh_seconds < settings.min_refresh_interval_seconds {
        problem(
            "refresh_seconds",
            "`refresh_seconds` is less than `min_refresh_interval_seconds`",
            "300 and 10 are usual",
        );
    }
    if settings.max_stale_seconds <= settings.refresh_seconds {
        problem(
            "max_stale_seconds",
            "`max_stale_seconds` is not more than `refresh_seconds`",
            "keys would be refused before they are fetched again",
        );
    }
    for (field, value) in [
        ("refresh_seconds", settings.refresh_seconds),
        (
            "min_refresh_interval_seconds",
            settings.min_refresh_interval_seconds,
        ),
        ("max_stale_seconds", settings.max_stale_seconds),
    ] {
        if value > 7 * 24 * 3600 {
            problem(
                field,
                "this is more than a week",
                "withdrawn keys would be used for that long",
            );
        }
    }
}

/// Where the keys come from, and the algorithms that they are for.
fn keys(settings: &IssuerSettings, problem: &mut impl FnMut(&str, &str, &str)) {
    let urls = settings.jwks_uris();
    for (index, url) in urls.iter().flatten().enumerate() {
        if let Err(why) = acceptable_url(url) {
            let field = match settings.jwks_uri {
                Some(super::OneOrMany::Many(_)) => format!("jwks_uri/{index}"),
                _ => "jwks_uri".to_owned(),
            };
            let help = "leave it out to look it up at the issuer";
            problem(&field, &format!("the URL {why}"), help);
        }
    }
    if urls.as_ref().is_some_and(Vec::is_empty) {
        problem(
            "jwks_uri",
            "there is no URL in the list",
            "leave it out to look it up at the issuer",
        );
    }
    let sources = [
        urls.is_some(),
        settings.jwks_file.is_some(),
        !settings.hmac_secrets.is_empty(),
    ];
    if sources.into_iter().filter(|given| *given).count() > 1 {
        problem(
            if settings.jwks_file.is_some() {
                "jwks_file"
            } else {
                "hmac_secrets"
            },
            "the keys are said to be in several places",
            "choose one of `jwks_uri`, `jwks_file` and `hmac_secrets`",
        );
    }
    for (index, secret) in settings.hmac_secrets.iter().enumerate() {
        if secret.expose_secret().len() < MIN_SECRET_BYTES {
            problem(
                &format!("hmac_secrets/{index}"),
                "the secret has less than 32 bytes, and could be guessed from any token",
                "use 32 random bytes or more (RFC 7518 section 3.2)",
            );
        }
    }
    let algorithms = settings.algorithms();
    if algorithms.is_empty() {
        problem(
            "algorithms",
            "without algorithms no token could ever be verified",
            "leave it out for the usual ones",
        );
    }
    let symmetric = |algorithm: &Algorithm| Algorithm::SYMMETRIC.contains(algorithm);
    if settings.hmac_secrets.is_empty() && algorithms.iter().any(symmetric) {
        problem(
            "algorithms",
            "an HMAC algorithm needs secrets of its own: a published key is no secret",
            "leave the HS algorithms out, or give `hmac_secrets`",
        );
    }
    if !settings.hmac_secrets.is_empty() && !algorithms.iter().all(symmetric) {
        problem(
            "algorithms",
            "with `hmac_secrets` there are no keys for this algorithm",
            "HS256, HS384 or HS512",
        );
    }
}

/// What is read of the claims.
fn claims(settings: &IssuerSettings, problem: &mut impl FnMut(&str, &str, &str)) {
    let capabilities = matches!(settings.profile, Profile::Wlcg | Profile::Scitokens);
    if settings.any_audience.is_some() && !capabilities {
        problem(
            "any_audience",
            "only the profiles `wlcg` and `scitokens` have an audience for everybody",
            "leave it out",
        );
    }
    if let Some(base) = &settings.base_path {
        if !capabilities {
            problem(
                "base_path",
                "only tokens of the profiles `wlcg` and `scitokens` have paths",
                "leave it out",
            );
        }
        if canonical_base(base).is_none() {
            problem(
                "base_path",
                "this is not a path in its canonical form",
                "for example `/vo`, without a slash at the end",
            );
        }
    }
    if settings.profile == Profile::Wlcg && settings.group_hierarchy == GroupHierarchy::Nested {
        problem(
            "group_hierarchy",
            "in WLCG tokens a member of `/vo/sub` is not one of `/vo` (profile section 2.2.2)",
            "leave it out",
        );
    }
    if settings.profile == Profile::Scitokens && settings.claims.groups.is_some() {
        problem("claims/groups", "a SciToken has no groups", "leave it out");
    }
    if settings.profile == Profile::Backstage
        && settings.actor == ActorRule::Azp
        && settings.claims.client.is_none()
    {
        problem(
            "actor",
            "Backstage's user tokens name no client, so every one would be refused",
            "leave it out, or say with `claims.client` where the client is",
        );
    }
    if settings.max_lifetime_seconds == Some(0) {
        problem(
            "max_lifetime_seconds",
            "no token lives that short",
            "3600 is usual",
        );
    }
    if settings.types.as_ref().is_some_and(Vec::is_empty) {
        problem(
            "types",
            "without types no token could ever be verified",
            "leave it out for the usual ones",
        );
    }
    if settings.credentials.is_empty() {
        problem(
            "credentials",
            "tokens that may be nowhere are never found",
            "leave it out for the Authorization header",
        );
    }
    for (index, place) in settings.credentials.iter().enumerate() {
        if let Err((message, help)) = place.validate() {
            problem(&format!("credentials/{index}"), message, help);
        }
    }
    for (field, message) in settings.claims.validate() {
        problem(
            &format!("claims/{field}"),
            message,
            "a name, or a JSON pointer such as `/realm/name`",
        );
    }
    for (index, path) in settings.required_claims.iter().enumerate() {
        if let Err(message) = path.validate() {
            let help = "a name, or a JSON pointer such as `/realm/name`";
            problem(&format!("required_claims/{index}"), message, help);
        }
    }
}

/// The base path without its trailing slash, if it is a canonical path; `/` is the empty one.
pub(in crate::identity) fn canonical_base(base: &str) -> Option<&str> {
    let (path, query) = model::RequestPath::parse_target(base.as_bytes(), model::Decoding::Raw).ok()?;
    if path.as_str() != base || query.is_some() {
        return None;
    }
    match base {
        "/" => Some(""),
        base if base.ends_with('/') => None,
        base => Some(base),
    }
}

/// Checks the short name of somebody who vouches for principals.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn short_name(name: &str) -> Result<(), &'static str> {
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=63).contains(&name.len()) && name.bytes().all(letters) {
        Ok(())
    } else {
        Err("the short name is not 1 to 63 lower-case letters, digits or `-`")
    }
}

/// An absolute URL to which tokens' trust may be pinned: `https`, or `http` on a loopback host; no user information,
/// no fragment, no blanks.
///
/// # Errors
/// What is wrong with it.
pub(in crate::identity) fn acceptable_url(text: &str) -> Result<Url, &'static str> {
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("has a blank, a control or a non-ASCII character");
    }
    let url = Url::parse(text).map_err(|_| "is not an absolute URL")?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or("has no host")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password");
    }
    if url.fragment().is_some() {
        return Err("has a fragment");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err("is plain http: whoever sits on the way could replace the keys; use https"),
        _ => Err("is not an https URL"),
    }
}

/// True for `localhost` and for loopback addresses (IPv6 in brackets, as URLs have it).
fn is_loopback(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
