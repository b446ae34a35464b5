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
        ("Bearer a.b.c, Bearer d.e.f", TokenRefusal::Character(b' ')),
        ("Bearer a.b.c d", TokenRefusal::Character(b' ')),
        ("Bearer \ta.b.c", TokenRefusal::Character(b'\t')),
        ("Bearer \u{ff45}yJ.b.c", TokenRefusal::Character(0xEF)),
        ("Bearer a.b.c\0", TokenRefusal::Character(0)),
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
