//! Verifiers of several kinds in one identity: secrets instead of keys, static tokens, and which key is meant.

use aws_lc_rs::hmac;

use super::*;

const ISSUER_C: &str = "https://c.test";
const SECRET: &str = "a secret that only issuer C knows";
const NEXT_SECRET: &str = "another one, for its rotation ...";
const STATIC: &str = "aZ9-static/token+value=";

/// Issuers A with keys and C with secrets, and static tokens.
fn house() -> Ours {
    of(json!({
        "issuers": [
            {"name": "a", "issuer": ISSUER_A, "audiences": [OURS]},
            {"name": "c", "issuer": ISSUER_C, "audiences": [OURS], "hmac_secrets": [SECRET, NEXT_SECRET]},
        ],
        "static_tokens": {"tokens": [
            {"token": STATIC, "subject": "ci"},
            {"token": "three.parts.with.a.fourth", "subject": "dots"},
            {"token": good().unsigned() + ".AAAA", "subject": "shaped"},
        ]},
    }))
}

fn mac(token: &Token, algorithm: hmac::Algorithm, secret: &str) -> String {
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    token.signed(|message| hmac::sign(&key, message).as_ref().to_vec())
}

#[test]
fn secrets() {
    let house = house();
    let c = || good().claim("iss", ISSUER_C).head("alg", "HS256");
    let hs256 = |token: &Token, secret: &str| mac(token, hmac::HMAC_SHA256, secret);
    let minted = hs256(&c(), SECRET);
    let (unsigned, tag) = minted.rsplit_once('.').unwrap();
    let with_tag = |tag: &[u8]| format!("{unsigned}.{}", b64(tag));
    let tag = unb64(tag);
    let not_verified = "issuer \"c\": the signature does not verify";
    for (id, token, expected) in [
        ("control HS256", minted.clone(), "User c/user-1"),
        ("no kid", hs256(&c().no_head("kid"), SECRET), "User c/user-1"),
        ("any kid", hs256(&c().head("kid", "x"), SECRET), "User c/user-1"),
        ("the next secret", hs256(&c(), NEXT_SECRET), "User c/user-1"),
        (
            "hs-c-384",
            mac(&c().head("alg", "HS384"), hmac::HMAC_SHA384, SECRET),
            "issuer \"c\": HS384 is not among the algorithms",
        ),
        ("hs-c-newline", hs256(&c(), &format!("{SECRET}\n")), not_verified),
        ("hs-c-truncated-mac", with_tag(&tag[..16]), not_verified),
        ("all but the last byte", with_tag(&tag[..31]), not_verified),
        (
            "one byte more",
            with_tag(&[&tag[..], &[0]].concat()),
            not_verified,
        ),
        ("no tag", with_tag(&[]), not_verified),
        ("no secret", hs256(&c(), ""), not_verified),
        (
            "both secrets",
            hs256(&c(), &format!("{SECRET}{NEXT_SECRET}")),
            not_verified,
        ),
        (
            "rs-for-c",
            good().claim("iss", ISSUER_C).mint(),
            "issuer \"c\": RS256 is not among the algorithms",
        ),
        (
            "C's secret for A",
            hs256(&good().head("alg", "HS256"), SECRET),
            "issuer \"a\": HS256 is not among the algorithms",
        ),
        (
            "HS256 bytes under the name RS256",
            hs256(&good(), SECRET),
            "issuer \"a\": the signature does not verify",
        ),
    ] {
        expect(id, &ask(&house, &token, now()), expected);
    }
}

#[test]
fn static_tokens_beside_issuers() {
    let house = house();
    let unknown = "the token is not a JWT (the token has 1 segments";
    for (id, header, expected) in [
        ("st-ok", format!("Bearer {STATIC}"), "Robot static/ci"),
        (
            "st-case",
            format!("Bearer {}", STATIC.to_ascii_uppercase()),
            unknown,
        ),
        ("st-suffix", format!("Bearer {STATIC}x"), unknown),
        ("one character less", format!("Bearer {}", &STATIC[..22]), unknown),
        ("st-first", format!("Bearer {}", &STATIC[..1]), unknown),
        (
            "st-nul",
            format!("Bearer {STATIC}\0junk"),
            "the token has the byte 0x00",
        ),
        (
            "st-space",
            format!("Bearer {}", STATIC.replacen('-', " ", 1)),
            "the token has the byte 0x20",
        ),
        (
            "st-urlenc",
            format!("Bearer {}", STATIC.replacen('a', "%61", 1)),
            unknown,
        ),
        ("st-b64", format!("Bearer {}", b64(STATIC)), unknown),
        ("st-empty", "Bearer ".to_owned(), "there is no token"),
        (
            "without the scheme",
            STATIC.to_owned(),
            "the Authorization header",
        ),
        (
            "of four segments",
            "Bearer three.parts.with.a.fourth".to_owned(),
            "Robot static/dots",
        ),
        (
            "shaped like a JWT of A",
            format!("Bearer {}.AAAA", good().unsigned()),
            "Robot static/shaped",
        ),
        (
            "one more like it",
            format!("Bearer {}.AAAB", good().unsigned()),
            "issuer \"a\": ",
        ),
        ("A's own", format!("Bearer {}", good().mint()), "User a/user-1"),
    ] {
        let answer = ask_with(&house, &[("authorization", &header)], None);
        expect(id, &answer, expected);
    }
}

/// RFC 9864: `Ed25519` is what `EdDSA` is with this curve.
#[test]
fn both_names_of_ed25519() {
    let named = |alg: &str| token(&KEYS.a_ed).head("alg", alg).mint();
    let mut jwk = KEYS.a_ed.jwk();
    jwk["alg"] = "Ed25519".into();
    for jwks in [jwks_a(), vec![jwk]] {
        let issuer = json!({"algorithms": ["Ed25519"]});
        let ours = with_keys(&under(issuer), &jwks);
        for (id, token, expected) in [
            ("EdDSA", named("EdDSA"), "User a/user-1"),
            ("Ed25519", named("Ed25519"), "User a/user-1"),
            (
                "Ed448",
                named("Ed448"),
                "the algorithm \"Ed448\" is not supported",
            ),
            (
                "ed25519",
                named("ed25519"),
                "the algorithm \"ed25519\" is not supported",
            ),
            (
                "another one",
                token(&KEYS.a_ec).mint(),
                "issuer \"a\": ES256 is not among",
            ),
        ] {
            expect(id, &ask(&ours, &token, now()), expected);
        }
    }
}

#[test]
fn a_token_without_kid() {
    let k = &*KEYS;
    let optional = || json!({"kid": "optional"});
    let without = |key: &'static TestKey| token(key).no_head("kid").mint();
    let no_kid = |why: &str| format!("issuer \"a\": the token names no key (`kid`), and {why}");
    let only = |keys: &[&TestKey]| keys.iter().map(|key| key.jwk()).collect::<Vec<_>>();
    let good = || "User a/user-1".to_owned();
    let mut nameless = k.a_rsa.jwk();
    nameless.as_object_mut().unwrap().remove("kid");
    let nameless = || vec![nameless.clone(), k.a_ec.jwk()];
    for (id, settings, jwks, token, expected) in [
        (
            "required",
            json!({}),
            only(&[&k.a_ec384]),
            without(&k.a_ec384),
            no_kid("`kid` of the issuer is `required`"),
        ),
        (
            "the only key for the algorithm",
            optional(),
            jwks_a(),
            without(&k.a_ec384),
            good(),
        ),
        (
            "the only key of all",
            optional(),
            only(&[&k.a_rsa]),
            without(&k.a_rsa),
            good(),
        ),
        (
            "two keys for the algorithm",
            optional(),
            only(&[&k.a_ec, &k.a_shared]),
            without(&k.a_ec),
            no_kid("its issuer has several keys for the algorithm"),
        ),
        (
            "two, one of which does not name its algorithm",
            optional(),
            jwks_a(),
            without(&k.a_ps),
            no_kid("its issuer has several keys for the algorithm"),
        ),
        (
            "no key for the algorithm",
            optional(),
            only(&[&k.a_ec]),
            without(&k.a_ed),
            no_kid("its issuer has no key for the algorithm"),
        ),
        (
            "the attacker's key",
            optional(),
            only(&[&k.a_rsa]),
            without(&k.mallory),
            "issuer \"a\": the signature does not verify".to_owned(),
        ),
        (
            "a name that is none of its keys",
            optional(),
            only(&[&k.a_rsa]),
            token(&k.a_rsa).head("kid", "other").mint(),
            "issuer \"a\": no key \"other\" in the JWKS".to_owned(),
        ),
        (
            "jwks-kid-missing",
            json!({}),
            nameless(),
            token(&k.a_rsa).mint(),
            "issuer \"a\": no key \"a-rsa-1\" in the JWKS".to_owned(),
        ),
        (
            "jwks-kid-missing, and no name in the token",
            optional(),
            nameless(),
            without(&k.a_rsa),
            no_kid("its issuer has no key for the algorithm"),
        ),
        (
            "an empty name",
            optional(),
            only(&[&k.a_rsa]),
            token(&k.a_rsa).head("kid", "").mint(),
            "header parameter `kid` must be".to_owned(),
        ),
    ] {
        let ours = with_keys(&under(settings), &jwks);
        expect(id, &ask(&ours, &token, now()), &expected);
    }
}
