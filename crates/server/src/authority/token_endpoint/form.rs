//! What is asked of the token endpoint, read strictly: what could be read in two ways is refused.

use authority::is_scope;

use super::error::{Code, Refusal};

/// The grant type of RFC 8693.
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// An access token, whatever its form.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A JWT.
pub(super) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Most parameters of a request.
const MOST_PARAMETERS: usize = 300;
/// Longest name of a workspace or an action, in bytes.
const LONGEST_NAME: usize = 1024;

/// A request, of which only its shape is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) subject_token: String,
    pub(super) actor_token: Option<String>,
    pub(super) client_id: Option<String>,
    /// `audience` and `resource`, in that order.
    pub(super) audiences: Vec<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) workspaces: Option<Vec<String>>,
    pub(super) actions: Option<Vec<String>>,
    pub(super) lifetime_seconds: Option<u64>,
    pub(super) issued_token_type: &'static str,
}

impl Form {
    /// Reads a body of `application/x-www-form-urlencoded`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut parameters = Parameters::read(body)?;
        match parameters.one("grant_type")?.as_deref() {
            Some(TOKEN_EXCHANGE) => {}
            Some(_) => {
                let only = format!("the only grant type here is {TOKEN_EXCHANGE}");
                return Err(Refusal::told(Code::UnsupportedGrantType, only));
            }
            None => return Err(bad("grant_type is missing")),
        }
        for secret in ["client_secret", "client_assertion"] {
            if parameters.one(secret)?.is_some() {
                let how = format!(
                    "{secret} is not known here: clients show a token of their own in the Authorization header"
                );
                return Err(Refusal::told(Code::InvalidClient, how));
            }
        }
        let subject_token = parameters
            .one("subject_token")?
            .ok_or_else(|| bad("subject_token is missing"))?;
        let subject_type = parameters.one("subject_token_type")?;
        let subject_type = subject_type.ok_or_else(|| bad("subject_token_type is missing"))?;
        known_type("subject_token_type", &subject_type)?;
        let actor_token = parameters.one("actor_token")?;
        match (&actor_token, parameters.one("actor_token_type")?) {
            (Some(_), Some(actor_type)) => known_type("actor_token_type", &actor_type).map(|_| ())?,
            (None, None) => {}
            (Some(_), None) => return Err(bad("actor_token_type is missing")),
            (None, Some(_)) => return Err(bad("actor_token_type is there without actor_token")),
        }
        let issued_token_type = match parameters.one("requested_token_type")? {
            Some(requested) => known_type("requested_token_type", &requested)?,
            None => ACCESS_TOKEN,
        };
        let mut audiences = parameters.names("audience")?.unwrap_or_default();
        for resource in parameters.names("resource")?.unwrap_or_default() {
            // RFC 8707 section 2.
            if !is_absolute(&resource) {
                let why = "resource is not an absolute URI without a fragment";
                return Err(Refusal::told(Code::InvalidTarget, why));
            }
            audiences.push(resource);
        }
        let scopes = parameters.one("scope")?.map(|scope| {
            let scopes: Vec<String> = scope
                .split(' ')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect();
            match scopes.iter().all(|scope| is_scope(scope)) {
                true => Ok(distinct(scopes)),
                false => Err(Refusal::told(
                    Code::InvalidScope,
                    "scope has a character that no scope has",
                )),
            }
        });
        let lifetime = parameters.one("lifetime")?.map(|text| {
            let digits =
                !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
            let seconds = digits
                .then(|| text.parse().ok())
                .flatten()
                .filter(|seconds| *seconds > 0);
            seconds.ok_or_else(|| bad("lifetime is not a number of seconds"))
        });
        Ok(Self {
            subject_token,
            actor_token,
            client_id: parameters.one("client_id")?,
            audiences: distinct(audiences),
            scopes: scopes.transpose()?,
            workspaces: parameters.names("workspace")?.map(distinct),
            actions: parameters.names("action")?.map(distinct),
            lifetime_seconds: lifetime.transpose()?,
            issued_token_type,
        })
    }
}

/// Names and values, decoded. Parameters without a value count as left out (RFC 6749 section 3.2).
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut parameters = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == MOST_PARAMETERS {
                return Err(bad(format!("there are more than {MOST_PARAMETERS} parameters")));
            }
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let mut text = || decoded(parts.next().unwrap_or_default());
            let unreadable = || bad("the body is not application/x-www-form-urlencoded in UTF-8");
            parameters.push((text().ok_or_else(unreadable)?, text().ok_or_else(unreadable)?));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(Self(parameters))
    }

    /// The value of a parameter that must not be there twice (RFC 6749 section 3.2).
    fn one(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let mut values = self
            .0
            .extract_if(.., |(known, _)| known == name)
            .map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(bad(format!("{name} is there more than once"))),
        }
    }

    /// The values of a parameter that may be there several times, each a name; `None` without any.
    fn names(&mut self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let values = self.0.extract_if(.., |(known, _)| known == name);
        let values: Vec<String> = values.map(|(_, value)| value).collect();
        let named = |value: &String| {
            value.len() <= LONGEST_NAME && !value.chars().any(char::is_control) && value.trim() == value
        };
        match values.iter().all(named) {
            true => Ok(Some(values).filter(|values| !values.is_empty())),
            false => Err(bad(format!("{name} has a value that is no name"))),
        }
    }
}

fn known_type(name: &str, token_type: &str) -> Result<&'static str, Refusal> {
    match token_type {
        ACCESS_TOKEN => Ok(ACCESS_TOKEN),
        JWT => Ok(JWT),
        _ => Err(bad(format!("{name} must be {ACCESS_TOKEN} or {JWT}"))),
    }
}

/// `+` and `%XX` decoded; `None` for what is not UTF-8 afterwards.
fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<&u8>| {
            char::from(*byte?)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next())? * 16 + digit(rest.next())?,
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Has a scheme and no fragment.
fn is_absolute(uri: &str) -> bool {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let letters = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let first = scheme
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    letters && first && !uri.contains(['#', ' '])
}

fn distinct(mut names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn bad(description: impl Into<String>) -> Refusal {
    Refusal::told(Code::InvalidRequest, description)
}

#[cfg(test)]
mod tests;
