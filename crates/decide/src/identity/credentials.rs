//! Finds the credential of a request, without believing it.
//!
//! There is one, or none. It is in the `Authorization` header with the scheme `Bearer` (RFC 6750 section 2.1), or in
//! another place that the settings of an issuer name. Several are refused, even if they are equal: which one the upstream
//! reads would be a guess. What is presented in `Authorization` and not understood is refused, too, because a credential
//! that nobody understands must not turn its bearer into an anonymous caller. `Proxy-Authorization`,
//! `X-Forwarded-Authorization` and look-alikes with underscores are not credentials here.

use std::borrow::Cow;

use model::Headers;
use schemars::JsonSchema;
use serde::Deserialize;

use super::refusal::TokenRefusal;
use crate::policy::query_parameter;

/// Longest token that is looked at. Checked before anything is decoded.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Where a token may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `Authorization: Bearer …`
    Bearer,
    /// The whole value of the header of that name. Example: `header: x-access-token`
    Header(String),
    /// The cookie of that name; an empty one is none. Example: `cookie: session`
    Cookie(String),
    /// The query parameter of that name. Such tokens end up in logs and in the browser's history (RFC 9700 section 4.3.2):
    /// only for clients that know no other way. A query that can be read in more than one way (`;`, the parameter twice) is
    /// refused then, whoever else the request is from. Example: `query: access_token`
    Query(String),
    /// The cookie of that name, if there is no `Authorization` header: for upstreams that look at it only then. Settings of
    /// their own make it.
    #[serde(skip)]
    CookieOtherwise(String),
}

/// A credential, as presented.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Presented<'a, 'p> {
    /// The token as sent: visible ASCII, not empty, not overlong.
    pub(super) token: Cow<'a, str>,
    /// Where it was; `None` if that does not matter, because somebody only wants it explained.
    pub(super) place: Option<&'p Place>,
}

/// The credential in one of `places`; `None` if there is none.
///
/// # Errors
/// The reasons for which what is presented is not one token.
pub(super) fn find<'a, 'p>(
    headers: &Headers<'a>,
    query: Option<&str>,
    places: &'p [Place],
) -> Result<Option<Presented<'a, 'p>>, TokenRefusal> {
    let mut found = bearer(headers)?.map(|token| Presented {
        token: Cow::Borrowed(token),
        place: Some(&Place::Bearer),
    });
    let authorized = found.is_some();
    for place in places {
        let token = match place {
            Place::Bearer => None,
            Place::CookieOtherwise(_) if authorized => None,
            Place::Header(name) => header(headers, name)?.map(Cow::Borrowed),
            Place::Cookie(name) | Place::CookieOtherwise(name) => cookie(headers, name)?.map(Cow::Borrowed),
            Place::Query(name) => parameter(query, name)?.map(Cow::Owned),
        };
        if let Some(token) = token {
            if found.is_some() {
                return Err(TokenRefusal::SeveralPlaces);
            }
            found = Some(Presented {
                token,
                place: Some(place),
            });
        }
    }
    Ok(found)
}

/// The bearer token as sent; `None` without an `Authorization` header.
///
/// # Errors
/// The reasons for which an `Authorization` header is not one bearer token.
pub(super) fn bearer<'a>(headers: &Headers<'a>) -> Result<Option<&'a str>, TokenRefusal> {
    let value = match headers.single("authorization") {
        Ok(Some(value)) => value,
        Ok(None) => return Ok(None),
        Err(count) => return Err(TokenRefusal::SeveralCredentials(count)),
    };
    let value = trim(value);
    let scheme_ends = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_ends);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(TokenRefusal::Scheme);
    }
    let blanks = rest.iter().take_while(|b| **b == b' ').count();
    let (_, token) = rest.split_at(blanks);
    believable(token).map(Some)
}

fn header<'a>(headers: &Headers<'a>, name: &str) -> Result<Option<&'a str>, TokenRefusal> {
    match headers.single(name) {
        Ok(Some(value)) => believable(trim(value)).map(Some),
        Ok(None) => Ok(None),
        Err(count) => Err(TokenRefusal::SeveralCredentials(count)),
    }
}

/// The value of a cookie (RFC 6265 section 5.4), of all `Cookie` headers: HTTP/2 lets a client split them.
fn cookie<'a>(headers: &Headers<'a>, name: &str) -> Result<Option<&'a str>, TokenRefusal> {
    let mut found = None;
    for header in headers.all("cookie") {
        if follows_comma(header, name) {
            // Some proxies join headers of one name so; which of two cookies the upstream reads would be a guess.
            return Err(TokenRefusal::SeveralPlaces);
        }
        for pair in header.split(|byte| *byte == b';') {
            let pair = trim(pair);
            let Some(value) = pair
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
            else {
                continue;
            };
            if found.replace(value).is_some() {
                return Err(TokenRefusal::SeveralPlaces);
            }
        }
    }
    match found {
        // This is how a browser is logged out.
        None | Some(b"") => Ok(None),
        Some(value) => believable(value).map(Some),
    }
}

/// True if the value has a comma, blanks, and then the cookie: what was two headers is one now.
fn follows_comma(header: &[u8], name: &str) -> bool {
    let mut parts = header.split(|byte| *byte == b',').skip(1).map(trim);
    parts.any(|part| {
        part.strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="))
    })
}

fn parameter(query: Option<&str>, name: &str) -> Result<Option<String>, TokenRefusal> {
    let Some(query) = query else {
        return Ok(None);
    };
    match query_parameter(query, name) {
        Ok(Some(token)) => believable(token.as_bytes()).map(|token| Some(token.to_owned())),
        Ok(None) => Ok(None),
        // A query that cannot be read in one way only may have a token for the upstream to find.
        Err(_) => Err(TokenRefusal::UnreadableQuery),
    }
}

/// A token, if it can be one: visible ASCII, and not too much of it.
pub(super) fn believable(token: &[u8]) -> Result<&str, TokenRefusal> {
    if token.is_empty() {
        return Err(TokenRefusal::NoToken);
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenRefusal::TooLong(token.len()));
    }
    // Looks at every byte whatever was found, which is several at a time.
    let visible = |all: bool, byte: &u8| all & byte.is_ascii_graphic();
    if !token.iter().fold(true, visible)
        && let Some(byte) = token.iter().find(|byte| !byte.is_ascii_graphic())
    {
        return Err(TokenRefusal::Character(*byte));
    }
    // ASCII by the check above.
    std::str::from_utf8(token).map_err(|_| TokenRefusal::Character(0xFF))
}

/// Without optional white space at the ends (RFC 9110 section 5.5).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

impl Place {
    /// Checks the name.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        let (Self::Header(name) | Self::Cookie(name) | Self::Query(name) | Self::CookieOtherwise(name)) =
            self
        else {
            return Ok(());
        };
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(letters) {
            return Err(("this is no name", "use letters, digits, `-`, `_` and `.`"));
        }
        let header = matches!(self, Self::Header(_));
        if header && name.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err((
                "headers are compared in lower case",
                "write the name in lower case",
            ));
        }
        if header && name.eq_ignore_ascii_case("authorization") {
            return Err(("that header has a scheme before the token", "write `bearer`"));
        }
        if header && name.eq_ignore_ascii_case("cookie") {
            return Err((
                "that header has many cookies",
                "write `cookie: <name of the cookie>`",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
