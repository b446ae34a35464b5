//! Whether the issuers' keys can be had, and whether clocks agree.

use std::time::{Duration, Instant, SystemTime};

use decide::identity::{DEFAULT_CACHE_BYTES, Identity, IdentitySettings, IssuerSettings};
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::redirect::Policy;

use super::{Finding, PATIENCE};

/// Within this, clocks agree: the header has whole seconds, and the answer takes its time.
const SAME: Duration = Duration::from_secs(3);
/// What tokens are given by default.
const LEEWAY: u64 = 30;

/// Fetches the keys of all issuers as the server does, and asks each for the time.
pub(super) async fn look(settings: &IdentitySettings) -> Vec<Finding> {
    let clocks = settings.issuers.iter().map(|issuer| {
        let issuer = issuer.clone();
        tokio::spawn(async move { clock(&issuer).await })
    });
    let clocks: Vec<_> = clocks.collect();
    let mut findings = keys(settings).await;
    for clock in clocks {
        findings.extend(clock.await.ok().flatten());
    }
    if settings.issuers.is_empty() {
        let help = "without `issuers` only static tokens, certificates and what is introspected say who asks";
        findings.push(Finding::doubtful("issuers", "there are none", help));
    }
    findings
}

async fn keys(settings: &IdentitySettings) -> Vec<Finding> {
    let begun = Instant::now();
    let handle = tokio::runtime::Handle::current();
    let identity = match Identity::<()>::new(settings, DEFAULT_CACHE_BYTES, &handle, |_| ()) {
        Ok(identity) => identity,
        Err(problems) => {
            let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return vec![Finding::wrong("issuers", words.join("; "), "")];
        }
    };
    let _ = tokio::time::timeout(PATIENCE, identity.first_attempts()).await;
    let took = begun.elapsed().as_millis();
    let statuses = identity.status().into_iter();
    statuses
        .map(|status| {
            let about = format!("issuer {}", status.name);
            match (status.ready, status.last_failure) {
                (true, None) => Finding::good(about, format!("{} keys that can be used, within {took} ms", status.keys)),
                (true, Some(failure)) => Finding::doubtful(about, failure, "the keys at hand are used meanwhile"),
                (false, failure) => Finding::wrong(
                    about,
                    failure.unwrap_or_else(|| format!("no keys within {PATIENCE:?}")),
                    "its tokens are refused until its keys can be had: look at `issuer`, `jwks_uri` and the way there; \
                     proxies of the environment are not used",
                ),
            }
        })
        .collect()
}

/// How far the clock of an issuer is from ours, if it tells the time.
async fn clock(issuer: &IssuerSettings) -> Option<Finding> {
    if !issuer.issuer.starts_with("http") || issuer.jwks_file.is_some() {
        return None;
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .build()
        .ok()?;
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.issuer.trim_end_matches('/')
    );
    let answer = client.get(url).send().await.ok()?;
    let told = answer.headers().get("date")?.to_str().ok()?;
    let told = SystemTime::from(DateTimeParser::new().parse_timestamp(told).ok()?);
    let now = SystemTime::now();
    let (skew, direction) = match told.duration_since(now) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let about = format!("clock of {}", issuer.name);
    if skew <= SAME {
        return Some(Finding::good(about, "agrees with ours"));
    }
    let found = format!("{} s {direction} ours", skew.as_secs());
    let help = "set the clock that is wrong (NTP): tokens seem too old, or not valid yet";
    let leeway = issuer.leeway_seconds.unwrap_or(LEEWAY);
    Some(match skew.as_secs() > leeway {
        true => Finding::wrong(about, found, format!("{help}; `leeway_seconds` is {leeway}")),
        false => Finding::doubtful(about, found, help),
    })
}
