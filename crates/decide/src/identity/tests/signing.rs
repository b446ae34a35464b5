//! Who signed, with which algorithm and which key.

use aws_lc_rs::{hmac, signature};
use base64::Engine as _;

use super::*;

fn hs256(token: &Token, secret: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    token
        .clone()
        .head("alg", "HS256")
        .signed(|m| hmac::sign(&key, m).as_ref().to_vec())
}

#[test]
fn algorithms() {
    let k = &*KEYS;
    let none = |alg: &str, signature: &str| format!("{}.{signature}", good().head("alg", alg).unsigned());
    let as_rs = |f: fn(&[u8]) -> Vec<u8>| good().signed(f);
    let ps_salt0 = token(&k.a_ps).signed(|m| {
        let encoding =
            &const { signature::RSA_PSS_SHA256.with_pss_salt_length(signature::RsaPssSaltLength::Custom(0)) };
        k.a_ps.sign_rsa(encoding, m)
    });
    let old = good().mint();
    let keepsig = none("none", old.rsplit('.').next().unwrap());
    check([
        (
            "alg-none-none",
            none("none", ""),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg-none-None",
            none("None", ""),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg-none-NONE",
            none("NONE", ""),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg-none-nOnE",
            none("nOnE", ""),
            refused!(R::UnknownAlgorithm(_)),
        ),
        ("alg-none-keepsig", keepsig, refused!(R::UnknownAlgorithm(_))),
        (
            "alg-none-garbage",
            none("none", "AAAAAA"),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg-missing",
            good().no_head("alg").mint(),
            refused!(R::Header { name: "alg", .. }),
        ),
        (
            "alg-null",
            good().head("alg", Value::Null).mint(),
            refused!(R::Header { name: "alg", .. }),
        ),
        (
            "alg-number",
            good().head("alg", 256).mint(),
            refused!(R::Header { name: "alg", .. }),
        ),
        (
            "alg-array",
            good().head("alg", json!(["RS256"])).mint(),
            refused!(R::Header { name: "alg", .. }),
        ),
        (
            "alg-pad",
            good().head("alg", "RS256 ").mint(),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg in lower case",
            good().head("alg", "rs256").mint(),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg-unknown",
            good().head("alg", "RS1").mint(),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg-rs384-unlisted",
            token(&k.a_plain)
                .head("alg", "RS384")
                .signed(|m| KEYS.a_plain.sign_rsa(&signature::RSA_PKCS1_SHA384, m)),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "alg-ps256-on-rs256-key",
            good()
                .head("alg", "PS256")
                .signed(|m| KEYS.a_rsa.sign_rsa(&signature::RSA_PSS_SHA256, m)),
            refused!(R::KeyAlgorithm { .. }),
        ),
        (
            "alg-rs256-on-ps256-key",
            token(&k.a_ps)
                .head("alg", "RS256")
                .signed(|m| KEYS.a_ps.sign_rsa(&signature::RSA_PKCS1_SHA256, m)),
            refused!(R::KeyAlgorithm { .. }),
        ),
        (
            "alg-rs-labelled-ps",
            token(&k.a_ps).signed(|m| KEYS.a_ps.sign_rsa(&signature::RSA_PKCS1_SHA256, m)),
            refused!(R::Signature(_)),
        ),
        (
            "v1.5 labelled PS256, key without alg",
            token(&k.a_plain).head("alg", "PS256").mint(),
            refused!(R::Signature(_)),
        ),
        (
            "alg-rs256-with-ec-kid",
            good().head("kid", "a-ec-1").mint(),
            refused!(R::KeyAlgorithm { .. }),
        ),
        (
            "alg-enc-key",
            token(&k.a_enc).mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "a longer digest under RS256",
            as_rs(|m| KEYS.a_rsa.sign_rsa(&signature::RSA_PKCS1_SHA384, m)),
            refused!(R::Signature(_)),
        ),
        ("alg-ps-salt0", ps_salt0, refused!(R::Signature(_))),
        (
            "rs-for-c",
            good().claim("iss", "https://c.test").mint(),
            refused!(R::UnknownIssuer(_)),
        ),
    ]);
    let spki = k.a_rsa.spki();
    let base64 = base64::engine::general_purpose::STANDARD.encode(&spki);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let one_line = format!("-----BEGIN PUBLIC KEY-----{base64}-----END PUBLIC KEY-----");
    let pkcs1 = &spki[24..];
    let jwk = k.a_rsa.jwk().to_string();
    let ec = token(&k.a_ec);
    let ec_spki = k.a_ec.spki();
    for (id, token) in [
        ("hs-confusion-rsa-spki-pem", hs256(&good(), pem.as_bytes())),
        (
            "hs-confusion-rsa-spki-oneline",
            hs256(&good(), one_line.as_bytes()),
        ),
        ("hs-confusion-rsa-spki-der", hs256(&good(), &spki)),
        ("hs-confusion-rsa-pkcs1-pem", hs256(&good(), pkcs1)),
        ("hs-confusion-rsa-jwk-json", hs256(&good(), jwk.as_bytes())),
        ("hs-confusion-ec-spki-pem", hs256(&ec, &ec_spki)),
        ("hs-confusion-ec-point", hs256(&ec, &ec_spki[26..])),
        ("hs-key-empty", hs256(&good(), b"")),
        ("hs-key-nul", hs256(&good(), b"\0")),
        ("hs-key-kid", hs256(&good(), b"a-rsa-1")),
        ("hs-key-null", hs256(&good(), b"null")),
    ] {
        check([(id, token, refused!(R::AlgorithmNotAllowed(_)))]);
    }
}

#[test]
fn keys_and_header_keys() {
    let k = &*KEYS;
    let evil = || token(&k.mallory);
    check([
        (
            "kid-unknown",
            evil().head("kid", "invented").mint(),
            refused!(R::UnknownKey { .. }),
        ),
        ("kid-attacker-key", evil().mint(), refused!(R::Signature(_))),
        (
            "kid-missing",
            good().no_head("kid").mint(),
            refused!(R::KidMissing(_)),
        ),
        (
            "kid-null",
            good().head("kid", Value::Null).mint(),
            refused!(R::Header { name: "kid", .. }),
        ),
        (
            "kid-array",
            good().head("kid", json!(["a-rsa-1"])).mint(),
            refused!(R::Header { name: "kid", .. }),
        ),
        (
            "kid-bool",
            good().head("kid", true).mint(),
            refused!(R::Header { name: "kid", .. }),
        ),
        (
            "kid-empty",
            good().head("kid", "").mint(),
            refused!(R::Header { name: "kid", .. }),
        ),
        (
            "kid-inj-long",
            hs256(&good().head("kid", "k".repeat(4000)), b""),
            refused!(R::Header { name: "kid", .. }),
        ),
        (
            "kid too long",
            good().head("kid", "k".repeat(257)).mint(),
            refused!(R::Header { name: "kid", .. }),
        ),
        (
            "kid-exact-glob",
            good().head("kid", "*").mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "kid-exact-regex",
            good().head("kid", "a-rsa-.*").mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "kid-exact-prefix",
            good().head("kid", "a-rsa").mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "kid-exact-pctkid",
            good().head("kid", "a%2Drsa-1").mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "kid-exact-nulkid",
            good().head("kid", "a-rsa-1\0").mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "jku-attacker",
            evil().head("jku", "https://evil.test/jwks").mint(),
            refused!(R::Signature(_)),
        ),
        (
            "jku-metadata-ssrf",
            evil().head("jku", "http://169.254.169.254/").mint(),
            refused!(R::Signature(_)),
        ),
        (
            "jku-issuer-prefix",
            evil().head("jku", format!("{ISSUER_A}.evil.test")).mint(),
            refused!(R::Signature(_)),
        ),
        (
            "x5u-attacker",
            evil().head("x5u", "https://evil.test/cert").mint(),
            refused!(R::Signature(_)),
        ),
        (
            "jwk-embedded",
            evil().head("jwk", k.mallory.jwk()).mint(),
            refused!(R::Signature(_)),
        ),
        (
            "jwk-embedded, kid invented",
            evil().head("jwk", k.mallory.jwk()).head("kid", "mine").mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "jwk-embedded-oct",
            hs256(
                &good().head("jwk", json!({"kty": "oct", "k": "AAAA"})),
                &[0, 0, 0],
            ),
            refused!(R::AlgorithmNotAllowed(_)),
        ),
        (
            "x5c-embedded",
            evil().head("x5c", json!([b64(k.mallory.spki())])).mint(),
            refused!(R::Signature(_)),
        ),
    ]);
    for (id, kid) in [
        ("kid-inj-abs", "/dev/null"),
        ("kid-inj-nul", "a-rsa-1\0.pem"),
        ("kid-inj-sqli", "x' UNION SELECT 'AAAA' -- "),
        ("kid-inj-sqli2", "' OR '1'='1"),
        ("kid-inj-cmd", "|/bin/sleep 5"),
        ("kid-inj-crlf", "a-rsa-1\r\nX-Injected: 1"),
        ("kid-inj-pct", "%2e%2e%2f%2e%2e%2fdev%2fnull"),
    ] {
        check([
            (
                id,
                hs256(&good().head("kid", kid), b""),
                refused!(R::AlgorithmNotAllowed(_)),
            ),
            (id, good().head("kid", kid).mint(), refused!(R::UnknownKey { .. })),
        ]);
    }
}

#[test]
fn signatures() {
    let k = &*KEYS;
    let es = || token(&k.a_ec);
    let ed = || token(&k.a_ed);
    let bad = || refused!(R::Signature(_));
    // The order of P-256 and of the Ed25519 base point, big-endian and little-endian.
    let n = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let l = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let one = |last: usize, length: usize| {
        let mut bytes = vec![0; length];
        bytes[last] = 1;
        bytes
    };
    let edit = |token: Token, f: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let minted = token.mint();
        let (unsigned, signature) = minted.rsplit_once('.').unwrap();
        format!("{unsigned}.{}", b64(f(unb64(signature))))
    };
    let splice = |from: &str, what: &str| {
        let (from_unsigned, _) = from.rsplit_once('.').unwrap();
        let (_, signature) = what.rsplit_once('.').unwrap();
        format!("{from_unsigned}.{signature}")
    };
    let admin = good().claim("sub", "admin").mint();
    let over_decoded = {
        let raw = format!("{}.{}", good().header_text(), good().claims_text());
        good().signed(|_| k.a_rsa.sign(raw.as_bytes()))
    };
    check([
        ("sig-empty", format!("{}.", good().unsigned()), bad()),
        ("es, empty", format!("{}.", es().unsigned()), bad()),
        (
            "sig-flip",
            edit(good(), &|mut s| {
                s[7] ^= 1;
                s
            }),
            bad(),
        ),
        ("sig-leadzero", edit(good(), &|s| [vec![0], s].concat()), bad()),
        ("sig-payload-swap", splice(&admin, &good().mint()), bad()),
        (
            "sig-header-swap",
            splice(&good().head("x", 1).mint(), &good().mint()),
            bad(),
        ),
        ("sig-over-decoded", over_decoded, bad()),
        ("es-r0s0", es().signed(|_| vec![0; 64]), bad()),
        (
            "es-r1s1",
            es().signed(|_| [one(31, 32), one(31, 32)].concat()),
            bad(),
        ),
        (
            "es-r0",
            edit(es(), &|s| [vec![0; 32], s[32..].to_vec()].concat()),
            bad(),
        ),
        (
            "es-s0",
            edit(es(), &|s| [s[..32].to_vec(), vec![0; 32]].concat()),
            bad(),
        ),
        (
            "es-s-plus-n",
            edit(es(), &|s| [s[..32].to_vec(), add_be(&s[32..], &n)].concat()),
            bad(),
        ),
        (
            "es-swapped",
            edit(es(), &|s| [s[32..].to_vec(), s[..32].to_vec()].concat()),
            bad(),
        ),
        ("es-short", edit(es(), &|s| s[..63].to_vec()), bad()),
        (
            "es-long",
            edit(es(), &|s| [&[0], &s[..32], &[0], &s[32..]].concat()),
            bad(),
        ),
        (
            "es384 signature cut to 64",
            edit(token(&k.a_ec384), &|s| s[..64].to_vec()),
            bad(),
        ),
        (
            "ed-s-plus-l",
            edit(ed(), &|s| [s[..32].to_vec(), add_le(&s[32..], &l)].concat()),
            bad(),
        ),
        ("ed-zero", ed().signed(|_| vec![0; 64]), bad()),
        ("ed-identity", ed().signed(|_| one(0, 64)), bad()),
        ("ed-63", edit(ed(), &|s| s[..63].to_vec()), bad()),
    ]);
}

/// No single character of a good token can be exchanged.
#[test]
fn every_character_counts() {
    for key in [&KEYS.a_rsa, &KEYS.a_ec, &KEYS.a_ed] {
        let minted = token(key).mint();
        for index in 0..minted.len() {
            let mut other = minted.clone().into_bytes();
            other[index] = if other[index] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            let answer = ask(&OURS_ONCE, &other, now());
            assert!(
                matches!(answer, Identified::Refused(_)),
                "{} at {index}: {answer:?}",
                key.kid
            );
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// Sum of two big-endian numbers, one byte longer.
fn add_be(a: &[u8], b: &[u8]) -> Vec<u8> {
    let reversed = |x: &[u8]| x.iter().rev().copied().collect::<Vec<_>>();
    let mut sum = carry(&reversed(a), &reversed(b));
    sum.reverse();
    sum
}

/// Sum of two little-endian numbers; these do not overflow.
fn add_le(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = carry(a, b);
    sum.pop();
    sum
}

fn carry(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = Vec::new();
    let mut over = 0_u16;
    for (x, y) in a.iter().zip(b) {
        let digit = u16::from(*x) + u16::from(*y) + over;
        sum.push((digit & 0xFF) as u8);
        over = digit >> 8;
    }
    sum.push(over as u8);
    sum
}
