//! Finds the credential of a request, without believing it.
//!
//! One `Authorization` header with the scheme `Bearer` (RFC 6750 section 2.1), or none. Everything else that is
//! presented there is refused, because a credential that nobody understands must not turn its bearer into an anonymous
//! caller. `Proxy-Authorization`, `X-Forwarded-Authorization`, look-alikes with underscores and `access_token` in the
//! query are not credentials here.

use model::Headers;

use super::refusal::TokenRefusal;

/// Longest token that is looked at. Checked before anything is decoded.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The bearer token as sent; `None` if no credential is presented.
///
/// # Errors
/// The five reasons for which an `Authorization` header is not one bearer token.
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
    if token.is_empty() {
        return Err(TokenRefusal::NoToken);
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenRefusal::TooLong(token.len()));
    }
    let foreign = |b: &&u8| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if let Some(byte) = token.iter().find(foreign) {
        return Err(TokenRefusal::Character(*byte));
    }
    // ASCII by the check above.
    std::str::from_utf8(token)
        .map(Some)
        .map_err(|_| TokenRefusal::Character(0xFF))
}

/// Without optional white space at the ends (RFC 9110 section 5.5).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], expected: Result<Option<&str>, TokenRefusal>) {
        let mut list = Headers::default();
        for (name, value) in headers {
            list.push(name, value.as_bytes());
        }
        assert_eq!(bearer(&list), expected, "{headers:?}");
    }

    #[test]
    fn one_bearer_token_is_found() {
        for value in [
            "Bearer a.b-c_.D9",
            "bearer a.b-c_.D9",
            "BEARER a.b-c_.D9",
            "Bearer   a.b-c_.D9",
            " \tBearer a.b-c_.D9\t ",
        ] {
            check(&[("authorization", value)], Ok(Some("a.b-c_.D9")));
            check(&[("x", "y"), ("Authorization", value)], Ok(Some("a.b-c_.D9")));
        }
        let longest = "a".repeat(MAX_TOKEN_BYTES);
        check(
            &[("authorization", &format!("Bearer {longest}"))],
            Ok(Some(&longest)),
        );
    }

    #[test]
    fn other_places_are_not_credentials() {
        for name in [
            "X_Authorization",
            "x-authorization",
            "authorization_",
            "Proxy-Authorization",
            "X-Forwarded-Authorization",
            "cookie",
        ] {
            check(&[(name, "Bearer a.b.c")], Ok(None));
        }
        check(&[], Ok(None));
    }

    #[test]
    fn what_is_presented_and_not_understood_is_refused() {
        for (value, refusal) in [
            ("", TokenRefusal::Scheme),
            ("a.b.c", TokenRefusal::Scheme),
            ("Basic a.b.c", TokenRefusal::Scheme),
            ("Beareraa.b.c", TokenRefusal::Scheme),
            ("Bearer\ta.b.c", TokenRefusal::Scheme),
            ("Bearer, Bearer a.b.c", TokenRefusal::Scheme),
            ("Basic x, Bearer a.b.c", TokenRefusal::Scheme),
            ("DPoP a.b.c", TokenRefusal::Scheme),
            ("Bearer", TokenRefusal::NoToken),
            ("Bearer  ", TokenRefusal::NoToken),
            ("Bearer a.b.c,", TokenRefusal::Character(b',')),
            ("Bearer a.b.c, Bearer d.e.f", TokenRefusal::Character(b',')),
            ("Bearer a.b.c d", TokenRefusal::Character(b' ')),
            ("Bearer \ta.b.c", TokenRefusal::Character(b'\t')),
            ("Bearer a.b.c==", TokenRefusal::Character(b'=')),
            ("Bearer a%2Eb%2Ec", TokenRefusal::Character(b'%')),
            ("Bearer a+b.c/", TokenRefusal::Character(b'+')),
            ("Bearer \u{ff45}yJ.b.c", TokenRefusal::Character(0xEF)),
            ("Bearer a.b.c\0", TokenRefusal::Character(0)),
            ("Bearer \"a.b.c\"", TokenRefusal::Character(b'"')),
        ] {
            check(&[("authorization", value)], Err(refusal));
        }
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        check(
            &[("authorization", &long)],
            Err(TokenRefusal::TooLong(MAX_TOKEN_BYTES + 1)),
        );
    }

    #[test]
    fn two_headers_are_refused_even_if_equal() {
        for (first, second) in [
            ("Bearer a.b.c", "Bearer a.b.c"),
            ("Basic x", "Bearer a.b.c"),
            ("Bearer a.b.c", ""),
            ("", ""),
        ] {
            let expected = || Err(TokenRefusal::SeveralCredentials(2));
            check(&[("authorization", first), ("authorization", second)], expected());
            check(
                &[("Authorization", first), ("x", "y"), ("AUTHORIZATION", second)],
                expected(),
            );
        }
    }
}
