//! The entries of Backstage's configuration, read: each is one way to prove who calls.

use std::collections::HashSet;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::fault::{Fault, GOOD_SECRET_BYTES, GOOD_TOKEN_CHARACTERS, MIN_SECRET_BYTES, MIN_TOKEN_CHARACTERS};
use super::part::{Faults, Part};
use super::restrictions::{self, Tags};
use super::settings::BackstageSettings;
use crate::identity::algorithm::Algorithm;
use crate::identity::cache::Digest;
use crate::identity::claims::checked_name;
use crate::identity::settings::acceptable_url;

/// The subject of callers in the old form.
const OLD_SUBJECT: &str = "external:backstage-plugin";
/// As written by people: with or without padding, whatever the unused bits are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One way to prove who calls.
pub(super) struct Entry {
    /// Where it is, for the log: `externalAccess/0`.
    pub(super) place: String,
    /// What the caller may do.
    pub(super) tags: Tags,
    /// What proves it.
    pub(super) proof: Proof,
}

/// What proves who calls.
pub(super) enum Proof {
    /// A text that the configuration knows.
    Static { token: Digest, subject: String },
    /// A JWT by a shared secret.
    Legacy { secret: Box<hmac::Key>, subject: String },
    /// A JWT by published keys.
    Jwks(JwksOptions),
}

impl Proof {
    /// The subject, if the configuration says it.
    pub(super) fn subject(&self) -> Option<&str> {
        match self {
            Self::Static { subject, .. } | Self::Legacy { subject, .. } => Some(subject),
            Self::Jwks(_) => None,
        }
    }
}

/// What is demanded of a JWT by published keys.
#[derive(Debug)]
pub(super) struct JwksOptions {
    /// Where the keys are: the URL in its normal form, so that the same place is the same text.
    pub(super) url: String,
    /// The accepted `iss`; any if empty.
    pub(super) issuers: Vec<String>,
    /// The accepted `aud`; any if empty.
    pub(super) audiences: Vec<String>,
    /// The accepted `alg`.
    pub(super) algorithms: Vec<Algorithm>,
    /// What the subject begins with, `external:` or `external:<prefix>:`.
    pub(super) subject_prefix: String,
    /// Claims that must be there, each with one of these values.
    pub(super) claims: Vec<(String, Vec<String>)>,
}

/// The entries in the order in which they are asked: `externalAccess`, then `keys`; and everything that is wrong. They may
/// be used if there is no error among that.
pub(super) fn read(settings: &BackstageSettings) -> (Vec<Entry>, Faults) {
    let (mut faults, mut tokens) = (Faults::default(), HashSet::new());
    let mut entries = Vec::new();
    let auth = &settings.backend.auth;
    for (index, members) in auth.external_access.iter().enumerate() {
        let place = format!("externalAccess/{index}");
        let entry = Part::new(&members.0, format!("/backend/auth/{place}"));
        entry.only(&["type", "options", "accessRestrictions"], &mut faults);
        let tags = restrictions::tags(&entry, &mut faults);
        let Some(proof) = proof(&entry, &mut faults) else {
            continue;
        };
        if let Proof::Static { token, .. } = &proof
            && !tokens.insert(*token)
        {
            faults.add(&format!("{}/options/token", entry.pointer()), Fault::TokenTwice);
        }
        entries.push(Entry { place, tags, proof });
    }
    between_entries(&entries, &mut faults);
    if !auth.keys.is_empty() {
        faults.add("/backend/auth/keys", Fault::OldKeys);
    }
    for (index, members) in auth.keys.iter().enumerate() {
        let place = format!("keys/{index}");
        let key = Part::new(&members.0, format!("/backend/auth/{place}"));
        key.only(&["secret"], &mut faults);
        if let Some(secret) = secret(&key, &mut faults) {
            let subject = OLD_SUBJECT.to_owned();
            let tags = restrictions::unrestricted();
            let proof = Proof::Legacy { secret, subject };
            entries.push(Entry { place, tags, proof });
        }
    }
    (entries, faults)
}

fn proof(entry: &Part<'_>, faults: &mut Faults) -> Option<Proof> {
    let kind = entry.text("type", faults);
    let options = entry.group("options", faults);
    if entry.get("options").is_none() {
        faults.add(entry.pointer(), Fault::Missing("options"));
    }
    let read = match kind? {
        "static" => fixed,
        "legacy" => legacy,
        "jwks" => jwks,
        other => {
            faults.add(&entry.below("type"), Fault::Type(other.to_owned()));
            return None;
        }
    };
    read(&options?, faults)
}

fn fixed(options: &Part<'_>, faults: &mut Faults) -> Option<Proof> {
    options.only(&["token", "subject"], faults);
    let (token, subject) = (options.text("token", faults), subject(options, faults));
    let token = token?;
    let fault = match token.chars().count() {
        _ if !is_solid(token) => Some(Fault::TokenBlank),
        length if length < MIN_TOKEN_CHARACTERS => Some(Fault::TokenShort),
        _ if !token.bytes().all(|b| b.is_ascii_graphic()) => Some(Fault::TokenCharacter),
        length if length < GOOD_TOKEN_CHARACTERS => Some(Fault::TokenGuessable),
        _ => None,
    };
    if let Some(fault) = fault {
        faults.add(&options.below("token"), fault);
    }
    Some(Proof::Static {
        token: Digest::of(token),
        subject: subject?,
    })
}

fn legacy(options: &Part<'_>, faults: &mut Faults) -> Option<Proof> {
    options.only(&["secret", "subject"], faults);
    let (secret, subject) = (secret(options, faults), subject(options, faults));
    Some(Proof::Legacy {
        secret: secret?,
        subject: subject?,
    })
}

fn jwks(options: &Part<'_>, faults: &mut Faults) -> Option<Proof> {
    const KNOWN: &[&str] = &[
        "url",
        "issuer",
        "audience",
        "algorithm",
        "subjectPrefix",
        "claims",
    ];
    options.only(KNOWN, faults);
    let url = options.text("url", faults);
    if let Some(url) = url {
        let fault = match acceptable_url(url) {
            _ if !is_solid(url) => Some(Fault::JwksUrl),
            Err(why) => Some(Fault::Url(why)),
            Ok(_) => None,
        };
        if let Some(fault) = fault {
            faults.add(&options.below("url"), fault);
        }
    }
    let issuers = options.list("issuer", faults).unwrap_or_default();
    let audiences = options.list("audience", faults);
    if options.get("audience").is_none() {
        faults.add(options.pointer(), Fault::NoAudience);
    }
    let algorithms = algorithms(options, faults);
    let prefix = options.optional_text("subjectPrefix", faults);
    if prefix.is_some_and(|prefix| !is_solid(prefix) || checked_name("", prefix).is_err()) {
        faults.add(&options.below("subjectPrefix"), Fault::SubjectName);
    }
    let claims = claims(options, faults);
    Some(Proof::Jwks(JwksOptions {
        url: acceptable_url(url?).map_or(url?.to_owned(), String::from),
        issuers,
        audiences: audiences.unwrap_or_default(),
        algorithms,
        subject_prefix: prefix.map_or("external:".to_owned(), |prefix| format!("external:{prefix}:")),
        claims,
    }))
}

fn algorithms(options: &Part<'_>, faults: &mut Faults) -> Vec<Algorithm> {
    let Some(names) = options.list("algorithm", faults) else {
        return Algorithm::ASYMMETRIC.to_vec();
    };
    let published = |name: &String| {
        // A key that everybody may read verifies no HMAC.
        Algorithm::named(name).filter(|algorithm| algorithm.hmac().is_none())
    };
    for name in names.iter().filter(|name| published(name).is_none()) {
        faults.add(&options.below("algorithm"), Fault::Algorithm(name.clone()));
    }
    names.iter().filter_map(published).collect()
}

fn claims(options: &Part<'_>, faults: &mut Faults) -> Vec<(String, Vec<String>)> {
    let Some(claims) = options.group("claims", faults) else {
        return Vec::new();
    };
    if claims.is_empty() {
        faults.add(claims.pointer(), Fault::NoLimit("claims"));
    }
    let mut demanded = Vec::new();
    for (name, value) in claims.members() {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        let texts: Option<Vec<String>> = values.iter().map(in_words).collect();
        match texts {
            Some(texts) if !texts.is_empty() && texts.iter().all(|text| !text.is_empty()) => {
                demanded.push((name.clone(), texts));
            }
            _ => faults.add(&claims.below(name), Fault::Claim(name.clone())),
        }
    }
    demanded
}

/// A text, a number or a boolean by its text.
pub(super) fn in_words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn subject(options: &Part<'_>, faults: &mut Faults) -> Option<String> {
    let subject = options.text("subject", faults)?;
    let fault = if !is_solid(subject) {
        Some(Fault::Subject)
    } else {
        checked_name("", subject).err().map(|_| Fault::SubjectName)
    };
    if let Some(fault) = fault {
        faults.add(&options.below("subject"), fault);
    }
    Some(subject.to_owned())
}

/// The key of a legacy secret, which is in base64 or base64url.
fn secret(options: &Part<'_>, faults: &mut Faults) -> Option<Box<hmac::Key>> {
    let secret = options.text("secret", faults)?;
    let decoded = Some(secret)
        .filter(|secret| is_solid(secret))
        .and_then(|secret| BASE64.decode(secret.replace('-', "+").replace('_', "/")).ok());
    let fault = match decoded.as_ref().map(Vec::len) {
        None => Some(Fault::Secret),
        Some(bytes) if bytes < MIN_SECRET_BYTES => Some(Fault::SecretShort(bytes)),
        Some(bytes) if bytes < GOOD_SECRET_BYTES => Some(Fault::SecretWeak(bytes)),
        Some(_) => None,
    };
    if let Some(fault) = fault {
        faults.add(&options.below("secret"), fault);
    }
    decoded.map(|secret| Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
}

/// Notes entries that stand in each other's way. Different issuers choose `sub` without regard to each other, and a prefix
/// can be part of somebody's `sub`. What an entry for any issuer has no key for may be for the entries behind it.
fn between_entries(entries: &[Entry], faults: &mut Faults) {
    let mut before: Vec<&JwksOptions> = Vec::new();
    for entry in entries {
        let Proof::Jwks(options) = &entry.proof else {
            continue;
        };
        let overlaps = |other: &&JwksOptions| {
            let (a, b) = (&options.subject_prefix, &other.subject_prefix);
            other.url != options.url && (a.starts_with(b.as_str()) || b.starts_with(a.as_str()))
        };
        if before.iter().any(overlaps) {
            let pointer = format!("/backend/auth/{}/options", entry.place);
            faults.add(&pointer, Fault::SharedSubjects);
        }
        before.push(options);
    }
    let (mut behind, mut slow): (Vec<&str>, _) = (Vec::new(), Vec::new());
    for entry in entries.iter().rev() {
        let Proof::Jwks(options) = &entry.proof else {
            continue;
        };
        if options.issuers.is_empty() && behind.iter().any(|url| *url != options.url) {
            slow.push(entry);
        }
        behind.push(&options.url);
    }
    for entry in slow.into_iter().rev() {
        let pointer = format!("/backend/auth/{}/options", entry.place);
        faults.add(&pointer, Fault::AnyIssuer);
    }
}

/// Not empty, and without blanks.
fn is_solid(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}
