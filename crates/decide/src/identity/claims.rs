//! The registered claims of a JWT (RFC 7519 section 4.1), and typed access to the others.
//!
//! A claim that does not parse is not an absent claim: every claim that is looked at is either absent or of its type.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::refusal::{ClaimFault, Quoted, TokenRefusal};

/// Longest name (subject, group, role, client, token id), in bytes.
pub(super) const MAX_NAME_BYTES: usize = 1024;
/// Most groups, roles, scopes or audiences in one claim.
pub(super) const MAX_ENTRIES: usize = 1000;
/// 9999-12-31T23:59:59Z. What is larger is a mistake (milliseconds) or an attack on arithmetic.
const MAX_TIME: f64 = 253_402_300_799.0;

/// Claims that bind an ID token to a login (OpenID Connect Core sections 2 and 3.3.2.11); no access token has them.
const ID_TOKEN_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// The claims of a token, with typed access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims<'c>(pub(super) &'c Map<String, Value>);

/// What an issuer's settings demand of the registered claims.
#[derive(Clone, Debug)]
pub(super) struct Demands {
    /// The names we go by, and that for everybody if the issuer has one.
    pub(super) audiences: Vec<String>,
    /// By how many seconds `exp` may have passed.
    pub(super) expiry_leeway: f64,
    /// By how many seconds `nbf` and `iat` may be in the future.
    pub(super) start_leeway: f64,
    /// Most seconds from `iat` to `exp`.
    pub(super) max_lifetime: Option<u64>,
}

/// The registered claims, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Registered {
    /// `sub`, or the claim that the settings take for it.
    pub(super) subject: String,
    /// `sub` itself: what tells whether the subject is the client, whatever names it has here.
    pub(super) sub: String,
    /// `aud`.
    pub(super) audiences: Vec<String>,
    /// `exp`, Unix seconds.
    pub(super) expires_at: f64,
    /// `iat`, Unix seconds.
    pub(super) issued_at: Option<f64>,
    /// `jti`.
    pub(super) token_id: Option<String>,
    /// `scope`.
    pub(super) scopes: Vec<String>,
    /// When all this ceases to count by the monotonic clock, whatever is done to the other one; `None` if never.
    pub(super) believed_until: Option<Instant>,
}

impl Registered {
    /// Checks the registered claims except `iss`, which chose the issuer.
    ///
    /// # Errors
    /// [`TokenRefusal`] naming the first claim that is not as it must be.
    pub(super) fn check(
        claims: Claims<'_>,
        demands: &Demands,
        now: SystemTime,
    ) -> Result<Self, TokenRefusal> {
        let now = unix_seconds(now);
        claims.refuse_bound()?;
        let subject = claims.name("sub")?.ok_or(fault("sub", ClaimFault::Missing))?;
        if subject.trim() != subject {
            return Err(fault("sub", ClaimFault::EdgeBlank));
        }
        let audiences = check_audience(claims, &demands.audiences)?;
        let (expires_at, issued_at) = check_times(claims, demands, now)?;
        Ok(Self {
            subject: subject.to_owned(),
            sub: subject.to_owned(),
            audiences,
            expires_at,
            issued_at,
            token_id: claims.name("jti")?.map(str::to_owned),
            scopes: claims.scopes()?,
            believed_until: None,
        })
    }
}

impl Registered {
    /// Forgets what the principal made of them has, too: it is not kept twice.
    pub(super) fn leave_to_the_principal(&mut self) {
        (self.subject, self.sub) = Default::default();
        (self.audiences, self.scopes) = Default::default();
    }

    /// Those of a credential that is no token and does not expire by itself.
    pub(super) fn without_end(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            sub: subject.to_owned(),
            audiences: Vec::new(),
            expires_at: f64::INFINITY,
            issued_at: None,
            token_id: None,
            scopes: Vec::new(),
            believed_until: None,
        }
    }
}

/// Checks `exp`, `nbf` and `iat`: when the token ends, and when it was issued. `now` in Unix seconds.
///
/// # Errors
/// [`TokenRefusal`] naming the first of them that is not as it must be.
pub(super) fn check_times(
    claims: Claims<'_>,
    demands: &Demands,
    now: f64,
) -> Result<(f64, Option<f64>), TokenRefusal> {
    let leeway = demands.expiry_leeway;
    let expires_at = claims.time("exp")?.ok_or(fault("exp", ClaimFault::Missing))?;
    if has_expired(expires_at, leeway, now) {
        return Err(TokenRefusal::Expired {
            ago: now - expires_at,
            exp: expires_at,
            leeway,
        });
    }
    let (not_before, issued_at) = (claims.time("nbf")?, claims.time("iat")?);
    let leeway = demands.start_leeway;
    for (name, time) in [("nbf", not_before), ("iat", issued_at)] {
        if let Some(time) = time.filter(|t| *t > now + leeway) {
            return Err(TokenRefusal::NotYetValid {
                name,
                ahead: time - now,
                leeway,
            });
        }
    }
    if let Some(nbf) = not_before.filter(|nbf| *nbf > expires_at) {
        return Err(TokenRefusal::EndsBeforeItStarts { nbf, exp: expires_at });
    }
    if let Some(limit) = demands.max_lifetime {
        let issued_at = issued_at.ok_or(fault("iat", ClaimFault::Missing))?;
        let lifetime = expires_at - issued_at;
        if lifetime > limit as f64 {
            return Err(TokenRefusal::LivesTooLong { lifetime, limit });
        }
    }
    Ok((expires_at, issued_at))
}

/// True from `exp` (plus leeway) on; RFC 7519 section 4.1.4: "on or after".
pub(super) fn has_expired(exp: f64, leeway: f64, now: f64) -> bool {
    now >= exp + leeway
}

/// Unix seconds; negative before 1970.
pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// All of `aud`, which must hold one of ours, exactly.
///
/// # Errors
/// [`TokenRefusal`] for tokens that are for others only, or for nobody in particular.
pub(super) fn check_audience(claims: Claims<'_>, ours: &[String]) -> Result<Vec<String>, TokenRefusal> {
    let named = claims.audiences()?;
    let named = named.ok_or(fault("aud", ClaimFault::Missing))?;
    if named.iter().any(|aud| ours.iter().any(|our| our == aud)) {
        return Ok(named.into_iter().map(str::to_owned).collect());
    }
    let shown: Vec<String> = named
        .iter()
        .take(5)
        .map(|aud| Quoted::new(aud).to_string())
        .collect();
    Err(TokenRefusal::Audience(shown.join(", ")))
}

impl<'c> Claims<'c> {
    /// A string, with whatever is in it.
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'c str>, TokenRefusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(fault(name, ClaimFault::Not("a string"))),
        }
    }

    /// A string that can be somebody's or something's name.
    pub(super) fn name(self, name: &'static str) -> Result<Option<&'c str>, TokenRefusal> {
        let text = self.text(name)?;
        text.map(|text| checked_name(name, text)).transpose()
    }

    /// The client: `client_id` (RFC 9068 section 2.2), else the older `azp`; where both are, they must agree.
    pub(super) fn client(self) -> Result<Option<&'c str>, TokenRefusal> {
        match (self.name("client_id")?, self.name("azp")?) {
            (Some(client_id), Some(azp)) if client_id != azp => {
                Err(fault("azp", ClaimFault::Not("the same as `client_id`")))
            }
            (client_id, azp) => Ok(client_id.or(azp)),
        }
    }

    /// Refuses what is worth nothing without a proof of possession (`cnf`, RFC 7800).
    pub(super) fn refuse_bound(self) -> Result<(), TokenRefusal> {
        match self.0.contains_key("cnf") {
            true => Err(TokenRefusal::SenderConstrained),
            false => Ok(()),
        }
    }

    /// Refuses what has a claim that only ID tokens have.
    pub(super) fn refuse_id_token(self) -> Result<(), TokenRefusal> {
        let mut only = ID_TOKEN_CLAIMS.into_iter();
        match only.find(|name| self.0.contains_key(*name)) {
            Some(name) => Err(TokenRefusal::IdToken(name)),
            None => Ok(()),
        }
    }

    /// A NumericDate (RFC 7519 section 2): a number of seconds, possibly with a fraction.
    pub(super) fn time(self, name: &'static str) -> Result<Option<f64>, TokenRefusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_f64() {
                Some(time) if (0.0..=MAX_TIME).contains(&time) => Ok(Some(time)),
                _ => Err(fault(name, ClaimFault::OutOfRange)),
            },
            Some(_) => Err(fault(name, ClaimFault::Not("a number"))),
        }
    }

    /// An array of names; empty when absent.
    pub(super) fn names(self, name: &'static str) -> Result<Vec<&'c str>, TokenRefusal> {
        let strings = self.strings(name)?;
        strings.into_iter().map(|text| checked_name(name, text)).collect()
    }

    /// `scope`: one string, blanks between the scopes (RFC 8693 section 4.2). Some issuers send an empty one.
    pub(super) fn scopes(self) -> Result<Vec<String>, TokenRefusal> {
        let scopes = self
            .text("scope")?
            .unwrap_or("")
            .split(' ')
            .filter(|scope| !scope.is_empty());
        let scopes: Vec<String> = scopes
            .map(|scope| checked_name("scope", scope).map(str::to_owned))
            .collect::<Result<_, _>>()?;
        if scopes.len() > MAX_ENTRIES {
            return Err(fault("scope", ClaimFault::TooMany));
        }
        Ok(scopes)
    }

    /// `aud`: one string, or an array of nothing but strings.
    pub(super) fn audiences(self) -> Result<Option<Vec<&'c str>>, TokenRefusal> {
        match self.0.get("aud") {
            Some(Value::String(one)) => Ok(Some(vec![one.as_str()])),
            Some(Value::Array(_)) => self.strings("aud").map(Some),
            Some(_) => Err(fault("aud", ClaimFault::Not("a string or an array of strings"))),
            None => Ok(None),
        }
    }

    fn strings(self, name: &'static str) -> Result<Vec<&'c str>, TokenRefusal> {
        self.0
            .get(name)
            .map_or(Ok(Vec::new()), |value| strings(name, value))
    }
}

/// The strings of an array that has nothing else in it.
pub(super) fn strings<'c>(name: &'static str, value: &'c Value) -> Result<Vec<&'c str>, TokenRefusal> {
    let not_strings = fault(name, ClaimFault::Not("an array of strings"));
    let entries = value.as_array().ok_or(not_strings.clone())?;
    if entries.len() > MAX_ENTRIES {
        return Err(fault(name, ClaimFault::TooMany));
    }
    entries
        .iter()
        .map(|entry| entry.as_str().ok_or(not_strings.clone()))
        .collect()
}

/// `text`, if it can be a name: not empty, not overlong, no control characters.
pub(super) fn checked_name<'c>(name: &'static str, text: &'c str) -> Result<&'c str, TokenRefusal> {
    if text.is_empty() {
        Err(fault(name, ClaimFault::Empty))
    } else if text.len() > MAX_NAME_BYTES {
        Err(fault(name, ClaimFault::TooLong))
    } else if text.chars().any(char::is_control) {
        Err(fault(name, ClaimFault::Control))
    } else {
        Ok(text)
    }
}

/// The refusal of claim `name`.
pub(super) fn fault(name: &'static str, fault: ClaimFault) -> TokenRefusal {
    TokenRefusal::Claim { name, fault }
}

#[cfg(test)]
mod tests;
