//! Limited tokens of users, in a cookie.

use super::*;

fn limited_token(key: &'static TestKey) -> Token {
    let token = token(key).head("typ", "vnd.backstage.limited-user");
    let known = [
        "iss",
        "aud",
        "jti",
        "typ",
        "azp",
        "sid",
        "preferred_username",
        "groups",
        "scope",
    ];
    known
        .into_iter()
        .fold(token, Token::no_claim)
        .claim("sub", "user:default/jane")
}

/// Kind and id, or why not.
fn cookie(identity: &Identity<()>, sent: &[(&str, &str)]) -> Result<String, R> {
    let mut headers = Headers::default();
    for (name, value) in sent {
        headers.push(name, value.as_bytes());
    }
    let answer = match identity.identify(&headers, None, now()) {
        Identified::NotYet(wanted) => {
            runtime().block_on(wanted.wait());
            identity.identify_at_hand(&headers, None, now())
        }
        answer => answer,
    };
    match answer {
        Identified::Verified(verified, _) => {
            let principal = verified.principal();
            let person = principal.kind == PrincipalKind::User;
            assert!(!person || (principal.roles.is_empty() && principal.groups.is_empty()));
            Ok(principal.to_string())
        }
        Identified::Refused(refused) => Err(refused.reason),
        Identified::Anonymous => Ok("nobody".to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_user_by_the_cookie_is_another_one_than_by_the_whole_token() {
    let portal = Origin::new(&[KEYS.a_ec.jwk()]);
    let keys = format!("{}{JWKS}", portal.url());
    let static_entry = fixed(json!({"token": TOKEN, "subject": "ci"}));
    let backend = json!({"auth": {"externalAccess": [static_entry]}});
    let on = house(
        json!({"backstage": {"backend": backend, "limited_users": {"jwks_uri": keys}}}),
        json!({}),
    );
    let renamed = json!({"jwks_uri": keys, "cookie": "portal"});
    let renamed = house(
        json!({"backstage": {"backend": backend, "limited_users": renamed}}),
        json!({}),
    );
    let off = house(json!({"backstage": {"backend": backend}}), json!({}));
    let a = &KEYS.a_ec;
    let good = limited_token(a).mint();
    let in_cookie = |token: &str| format!("a=b; backstage-auth={token}");
    let bearer = |token: &str| format!("Bearer {token}");
    let jane = "User::\"backstage/user:default/jane\"";
    let ci = "Robot::\"backstage/ci\"";
    for (id, identity, sent, expected) in [
        ("cookie", &on, vec![("cookie", in_cookie(&good))], jane),
        (
            "the header counts",
            &on,
            vec![("cookie", in_cookie(&good)), ("authorization", bearer(TOKEN))],
            ci,
        ),
        (
            "whatever the cookie is",
            &on,
            vec![("cookie", in_cookie("rubbish")), ("authorization", bearer(TOKEN))],
            ci,
        ),
        (
            "renamed",
            &renamed,
            vec![("cookie", format!("portal={good}"))],
            jane,
        ),
        (
            "another cookie",
            &renamed,
            vec![("cookie", in_cookie(&good))],
            "nobody",
        ),
        (
            "not configured",
            &off,
            vec![("cookie", in_cookie(&good))],
            "nobody",
        ),
        ("an empty cookie", &on, vec![("cookie", in_cookie(""))], "nobody"),
    ] {
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(cookie(identity, &sent).as_deref(), Ok(expected), "{id}");
    }
    for identity in [&on, &off] {
        let sent = bearer(&good);
        let refusal = cookie(identity, &[("authorization", &sent)]).unwrap_err();
        assert!(
            matches!(refusal, R::BackstageLimitedUser),
            "in the header: {refusal:?}"
        );
    }
    let twice = format!("{}; backstage-auth=x", in_cookie(&good));
    assert!(matches!(
        cookie(&on, &[("cookie", &twice)]),
        Err(R::SeveralPlaces)
    ));
    let good = || limited_token(a);
    type Row = (&'static str, Token, fn(&R) -> bool);
    let rows: [Row; 10] = [
        ("no sub", good().no_claim("sub"), |r| {
            matches!(r, R::Claim { name: "sub", .. })
        }),
        ("no iat", good().no_claim("iat"), |r| {
            matches!(r, R::Claim { name: "iat", .. })
        }),
        ("no exp", good().no_claim("exp"), |r| {
            matches!(r, R::Claim { name: "exp", .. })
        }),
        ("expired", good().claim("exp", NOW - 30), |r| {
            matches!(r, R::Expired { .. })
        }),
        ("an actor", good().claim("act", json!({"sub": "x"})), |r| {
            matches!(r, R::BackstageOnBehalf)
        }),
        ("bound", good().claim("cnf", json!({})), |r| {
            matches!(r, R::SenderConstrained)
        }),
        ("forged", limited_token(&KEYS.b_ec), |r| {
            matches!(r, R::UnknownKey { .. })
        }),
        // Its keys sign whole tokens, too; those are not for a cookie.
        ("a whole one", good().head("typ", "vnd.backstage.user"), |_| true),
        ("a plugin's", good().head("typ", "vnd.backstage.plugin"), |r| {
            matches!(r, R::BackstagePlugin)
        }),
        ("untyped", good().no_head("typ"), |_| true),
    ];
    for (id, token, expected) in rows {
        let sent = in_cookie(&token.mint());
        let refusal = cookie(&on, &[("cookie", &sent)]).expect_err(id);
        assert!(expected(&refusal), "{id}: {refusal:?}");
    }
    // The static token is no cookie.
    let sent = in_cookie(TOKEN);
    assert!(matches!(cookie(&on, &[("cookie", &sent)]), Err(R::WrongPlace)));
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    let url = "https://backstage.test/jwks";
    for (limited, expected) in [
        (json!({"jwks_uri": url}), &[][..]),
        (
            json!({"jwks_uri": "http://backstage.test/jwks", "cookie": ""}),
            &["jwks_uri", "cookie"],
        ),
        (json!({"jwks_uri": url, "cookie": "a b"}), &["cookie"]),
    ] {
        let settings = serde_json::from_value(json!({"backend": {}, "limited_users": limited})).unwrap();
        let found: Vec<String> = validate(&settings)
            .into_iter()
            .map(|problem| match problem.at {
                Place::Setting(pointer) => pointer
                    .strip_prefix("/backstage/limited_users/")
                    .unwrap()
                    .to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, expected, "{limited}");
    }
}
