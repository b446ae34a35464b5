//! What is configured per issuer, and what can be wrong with it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use super::algorithm::Algorithm;
use crate::problem::Problem;

/// An OpenID Connect issuer whose access tokens are accepted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Short name of the issuer: lower-case letters, digits and `-`. It is part of every id in the policies
    /// (`User::"main/…"`), so changing it changes who everybody is.
    pub name: String,
    /// The issuer's URL, exactly as it stands in `iss` of its tokens: a slash more or less is another issuer.
    /// `https`, or `http` on this very host.
    pub issuer: String,
    /// Where the issuer publishes its keys. By default this is looked up at
    /// `<issuer>/.well-known/openid-configuration`; a `jwks_uri` found there must be on the host of the issuer, so an
    /// issuer that keeps its keys elsewhere needs this setting.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// The names we go by in `aud`. A token must be meant for one of them, exactly.
    pub audiences: Vec<String>,
    /// Signature algorithms this issuer uses. Symmetric ones and `none` cannot be listed.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// How the claims of this issuer are to be read.
    #[serde(default)]
    pub profile: Profile,
    /// Whether roles in this issuer's tokens (`resource_access`) count. Every administrator of the issuer can then
    /// give every role.
    #[serde(default)]
    pub trust_roles: bool,
    /// By how many seconds the issuer's clock may differ from ours. At most 300.
    #[serde(default = "seconds::<30>")]
    pub leeway_seconds: u64,
    /// After how many seconds keys are fetched again. A key that the issuer withdraws works for at most that long, as
    /// long as it publishes another one: a set without any usable key is taken for a failure.
    #[serde(default = "seconds::<300>")]
    pub refresh_seconds: u64,
    /// Seconds that must pass between two fetches, failed ones included, however many unknown keys tokens name.
    #[serde(default = "seconds::<10>")]
    pub min_refresh_interval_seconds: u64,
    /// For how many seconds the last good keys are used while the issuer cannot be reached. After that every token of
    /// the issuer is refused.
    #[serde(default = "seconds::<3600>")]
    pub max_stale_seconds: u64,
}

/// How claims become a principal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Keycloak: the claim `typ` is `Bearer`, service accounts are robots, groups are paths.
    #[default]
    Keycloak,
    /// Any other provider: a token whose subject is its own client (`client_id`, else `azp`) is a client acting for
    /// itself, every other one a user. It must be marked as an access token: by the type `at+jwt`, or by `client_id` or
    /// `scope`; ID tokens are refused. There are no roles, groups come from `groups`.
    Oidc,
}

impl IssuerSettings {
    pub(super) fn pace(&self) -> super::keys::Pace {
        super::keys::Pace {
            refresh: Duration::from_secs(self.refresh_seconds),
            cool_down: Duration::from_secs(self.min_refresh_interval_seconds),
            max_stale: Duration::from_secs(self.max_stale_seconds),
            patience: Duration::from_secs(5),
        }
    }
}

fn all_algorithms() -> Vec<Algorithm> {
    Algorithm::ALL.to_vec()
}

fn seconds<const N: u64>() -> u64 {
    N
}

/// All problems of the list `issuers` of the configuration, at once.
pub fn validate(issuers: &[IssuerSettings]) -> Vec<Problem> {
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
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=63).contains(&settings.name.len()) || !settings.name.bytes().all(letters) {
        problem(
            "name",
            "the short name is not 1 to 63 lower-case letters, digits or `-`",
            "for example `main`",
        );
    }
    match acceptable_url(&settings.issuer) {
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
    if let Some(Err(why)) = settings.jwks_uri.as_deref().map(acceptable_url) {
        problem(
            "jwks_uri",
            &format!("the URL {why}"),
            "leave it out to look it up at the issuer",
        );
    }
    if settings.audiences.is_empty() || settings.audiences.iter().any(String::is_empty) {
        problem(
            "audiences",
            "the audiences must be at least one name, and no empty one",
            "a token for another service must not be good here; ask the issuer to put our name into `aud`",
        );
    }
    if settings.algorithms.is_empty() {
        problem(
            "algorithms",
            "without algorithms no token could ever be verified",
            "leave it out for all",
        );
    }
    if settings.leeway_seconds > 300 {
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

/// An absolute URL to which tokens' trust may be pinned: `https`, or `http` on a loopback host; no user information,
/// no fragment, no blanks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn acceptable_url(text: &str) -> Result<Url, &'static str> {
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

#[cfg(test)]
mod tests;
