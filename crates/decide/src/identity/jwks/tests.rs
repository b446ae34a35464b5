use serde_json::json;

use super::*;
use crate::identity::testing::{KEYS, b64, document, jwks_a, token, unb64};

/// What becomes of one odd key beside A's good ones.
enum Expect {
    /// It is usable, under its name.
    Usable,
    /// It is skipped, and the others stay good.
    Skipped(Flaw),
    /// The whole document is refused.
    Refused,
}

fn check(id: &str, odd: Value, expect: Expect) {
    let mut keys = jwks_a();
    let control = KeySet::parse(&document(&keys)).unwrap();
    keys.push(odd.clone());
    let parsed = KeySet::parse(&document(&keys));
    match (parsed, expect) {
        (Ok((keys, _)), Expect::Usable) => {
            assert!(keys.get(kid_of(&odd).unwrap()).is_some(), "{id}");
        }
        (Ok((keys, mut skipped)), Expect::Skipped(why)) => {
            let kid = kid_of(&odd).map(str::to_owned);
            assert_eq!(skipped.pop(), Some(Skipped { kid, why }), "{id}");
            assert_eq!(keys, control.0, "{id}: the others changed");
        }
        (Err(JwksRefusal::PrivateKey(_)), Expect::Refused) => {}
        (got, _) => panic!("{id}: {got:?}"),
    }
}

/// A good RSA key under another name, changed.
fn rsa_with(name: &str, value: Value) -> Value {
    with(KEYS.b_rsa.jwk(), name, value)
}

fn ec_with(name: &str, value: Value) -> Value {
    with(KEYS.b_ec.jwk(), name, value)
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn without(mut jwk: Value, name: &str) -> Value {
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

#[test]
fn keys_one_by_one() {
    let bytes = |jwk: &Value, name: &str| unb64(jwk[name].as_str().unwrap());
    let ec = KEYS.b_ec.jwk();
    let (x, y) = (bytes(&ec, "x"), bytes(&ec, "y"));
    let mut off = y.clone();
    off[31] ^= 1;
    let n = |bits: usize| {
        let mut n = vec![0xFF; bits.div_ceil(8)];
        n[0] >>= (8 - bits % 8) % 8;
        json!(b64(n))
    };
    let e = |e: &[u8]| json!(b64(e));
    let even = json!(b64([vec![0xFF; 255], vec![0xFE]].concat()));
    let ed = || with(KEYS.a_ed.jwk(), "kid", json!("ed-2"));
    let identity = json!(b64([&[1_u8][..], &[0; 31]].concat()));
    use Expect::{Refused, Skipped, Usable};
    for (id, odd, expect) in [
        ("rsa", rsa_with("x", json!(1)), Usable),
        ("ec", ec.clone(), Usable),
        ("ed", ed(), Usable),
        ("ec384", with(KEYS.a_ec384.jwk(), "kid", json!("ec384-2")), Usable),
        ("no use", without(KEYS.b_ec.jwk(), "use"), Usable),
        (
            "jwks-unknown-kty",
            json!({"kty": "XYZ", "kid": "q"}),
            Skipped(Flaw::Kty),
        ),
        (
            "post-quantum",
            json!({"kty": "AKP", "kid": "q", "alg": "ML-DSA-44", "pub": "AA"}),
            Skipped(Flaw::UnknownAlgorithm),
        ),
        ("kty missing", without(KEYS.b_ec.jwk(), "kty"), Skipped(Flaw::Kty)),
        (
            "kty of another case",
            ec_with("kty", json!("ec")),
            Skipped(Flaw::Kty),
        ),
        ("not an object", json!("key"), Skipped(Flaw::NotAnObject)),
        ("null", json!(null), Skipped(Flaw::NotAnObject)),
        (
            "jwks-broken-neighbour",
            without(KEYS.b_rsa.jwk(), "n"),
            Skipped(Flaw::Member),
        ),
        (
            "n padded",
            rsa_with("n", json!(format!("{}==", b64([0xFF; 256])))),
            Skipped(Flaw::Member),
        ),
        ("n number", rsa_with("n", json!(5)), Skipped(Flaw::Member)),
        ("n empty", rsa_with("n", json!("")), Skipped(Flaw::RsaModulus)),
        (
            "n with a leading zero",
            rsa_with("n", json!(b64([vec![0], vec![0xFF; 256]].concat()))),
            Skipped(Flaw::RsaModulus),
        ),
        ("n even", rsa_with("n", even), Skipped(Flaw::RsaModulus)),
        ("jwks-1024", rsa_with("n", n(1024)), Skipped(Flaw::RsaModulus)),
        ("2047 bits", rsa_with("n", n(2047)), Skipped(Flaw::RsaModulus)),
        ("2048 bits", rsa_with("n", n(2048)), Usable),
        ("8192 bits", rsa_with("n", n(8192)), Usable),
        ("8193 bits", rsa_with("n", n(8193)), Skipped(Flaw::RsaModulus)),
        ("jwks-huge-n", rsa_with("n", n(16384)), Skipped(Flaw::RsaModulus)),
        ("jwks-e3", rsa_with("e", e(&[3])), Skipped(Flaw::RsaExponent)),
        ("e 1", rsa_with("e", e(&[1])), Skipped(Flaw::RsaExponent)),
        ("e 0", rsa_with("e", e(&[0])), Skipped(Flaw::RsaExponent)),
        (
            "e 65535",
            rsa_with("e", e(&[0xFF, 0xFF])),
            Skipped(Flaw::RsaExponent),
        ),
        ("e even", rsa_with("e", e(&[1, 0, 2])), Skipped(Flaw::RsaExponent)),
        (
            "e with a leading zero",
            rsa_with("e", e(&[0, 1, 0, 1])),
            Skipped(Flaw::RsaExponent),
        ),
        ("e empty", rsa_with("e", e(&[])), Skipped(Flaw::RsaExponent)),
        (
            "e 2^32 + 1",
            rsa_with("e", e(&[1, 0, 0, 0, 1])),
            Skipped(Flaw::RsaExponent),
        ),
        (
            "e of 64 bytes",
            rsa_with("e", e(&[0xFF; 64])),
            Skipped(Flaw::RsaExponent),
        ),
        ("jwks-use-enc", rsa_with("use", json!("enc")), Skipped(Flaw::Use)),
        ("use null", rsa_with("use", json!(null)), Skipped(Flaw::Use)),
        ("use array", rsa_with("use", json!(["sig"])), Skipped(Flaw::Use)),
        (
            "jwks-keyops",
            rsa_with("key_ops", json!(["encrypt"])),
            Skipped(Flaw::KeyOps),
        ),
        (
            "key_ops sign",
            rsa_with("key_ops", json!(["sign"])),
            Skipped(Flaw::KeyOps),
        ),
        (
            "key_ops string",
            rsa_with("key_ops", json!("verify")),
            Skipped(Flaw::KeyOps),
        ),
        (
            "key_ops empty",
            rsa_with("key_ops", json!([])),
            Skipped(Flaw::KeyOps),
        ),
        ("key_ops verify", rsa_with("key_ops", json!(["verify"])), Usable),
        (
            "jwks-alg-mismatch",
            rsa_with("alg", json!("RS512")),
            Skipped(Flaw::UnknownAlgorithm),
        ),
        (
            "alg null",
            rsa_with("alg", json!(null)),
            Skipped(Flaw::UnknownAlgorithm),
        ),
        (
            "alg none",
            rsa_with("alg", json!("none")),
            Skipped(Flaw::UnknownAlgorithm),
        ),
        (
            "alg of another type",
            rsa_with("alg", json!("ES256")),
            Skipped(Flaw::ForeignAlgorithm),
        ),
        (
            "alg of another curve",
            ec_with("alg", json!("ES384")),
            Skipped(Flaw::ForeignAlgorithm),
        ),
        (
            "alg HS256 on RSA",
            rsa_with("alg", json!("HS256")),
            Skipped(Flaw::ForeignAlgorithm),
        ),
        (
            "jwks-kid-missing",
            without(KEYS.b_rsa.jwk(), "kid"),
            Skipped(Flaw::Kid),
        ),
        ("kid empty", rsa_with("kid", json!("")), Skipped(Flaw::Kid)),
        ("kid number", rsa_with("kid", json!(1)), Skipped(Flaw::Kid)),
        (
            "kid too long",
            rsa_with("kid", json!("k".repeat(257))),
            Skipped(Flaw::Kid),
        ),
        (
            "symmetric",
            json!({"kty": "oct", "kid": "h", "k": "AAAA", "alg": "HS256"}),
            Skipped(Flaw::Symmetric),
        ),
        (
            "symmetric without alg",
            json!({"kty": "oct", "kid": "h", "k": "AAAA"}),
            Skipped(Flaw::Symmetric),
        ),
        (
            "jwks-ec-off-curve",
            ec_with("y", json!(b64(&off))),
            Skipped(Flaw::Point),
        ),
        (
            "x and y swapped",
            with(ec_with("x", json!(b64(&y))), "y", json!(b64(&x))),
            Skipped(Flaw::Point),
        ),
        (
            "(0, 0)",
            with(ec_with("x", json!(b64([0; 32]))), "y", json!(b64([0; 32]))),
            Skipped(Flaw::Point),
        ),
        (
            "jwks-ec-short-x",
            ec_with("x", json!(b64(&x[1..]))),
            Skipped(Flaw::Point),
        ),
        (
            "x longer",
            ec_with("x", json!(b64([&[0], &x[..]].concat()))),
            Skipped(Flaw::Point),
        ),
        (
            "x longer, y shorter",
            with(
                ec_with("x", json!(b64([&x[..], &y[..1]].concat()))),
                "y",
                json!(b64(&y[1..])),
            ),
            Skipped(Flaw::Point),
        ),
        (
            "jwks-ec-crv",
            without(ec_with("crv", json!("P-384")), "alg"),
            Skipped(Flaw::Point),
        ),
        ("P-521", ec_with("crv", json!("P-521")), Skipped(Flaw::Curve)),
        (
            "secp256k1",
            ec_with("crv", json!("secp256k1")),
            Skipped(Flaw::Curve),
        ),
        (
            "crv missing",
            without(KEYS.b_ec.jwk(), "crv"),
            Skipped(Flaw::Curve),
        ),
        (
            "jwks-ed-small-order",
            with(ed(), "x", identity),
            Skipped(Flaw::SmallOrder),
        ),
        (
            "ed, zero",
            with(ed(), "x", json!(b64([0; 32]))),
            Skipped(Flaw::SmallOrder),
        ),
        (
            "ed, not reduced",
            with(ed(), "x", json!(b64([0xFF; 32]))),
            Skipped(Flaw::SmallOrder),
        ),
        (
            "ed, short",
            with(ed(), "x", json!(b64([7; 31]))),
            Skipped(Flaw::Point),
        ),
        ("X25519", with(ed(), "crv", json!("X25519")), Skipped(Flaw::Curve)),
        ("Ed448", with(ed(), "crv", json!("Ed448")), Skipped(Flaw::Curve)),
        ("jwks-private", rsa_with("d", json!("AAAA")), Refused),
        ("private prime", rsa_with("qi", json!("AAAA")), Refused),
        (
            "private, for encryption",
            with(rsa_with("use", json!("enc")), "d", json!("AAAA")),
            Refused,
        ),
        ("private EC", ec_with("d", json!("AAAA")), Refused),
        ("private Ed25519", with(ed(), "d", json!(null)), Refused),
    ] {
        check(id, odd, expect);
    }
}

#[test]
fn documents() {
    let text = |keys: &[Value]| String::from_utf8(document(keys)).unwrap();
    let plain = text(&jwks_a());
    assert_eq!(KeySet::parse(plain.as_bytes()).unwrap().0.len(), 7, "jwks-plain");
    let many: Vec<Value> = (0..101).map(|n| ec_with("kid", json!(n.to_string()))).collect();
    assert_eq!(KeySet::parse(&document(&many[..100])).unwrap().0.len(), 100);
    for (id, document, expected) in [
        ("jwks-empty", text(&[]), "no key that can be used"),
        (
            "only bad keys",
            text(&[rsa_with("e", json!("Aw"))]),
            "no key that can be used (key \"b-rsa-1\" is RSA",
        ),
        ("jwks-no-keys", "{}".to_owned(), "not an object with an array"),
        (
            "keys object",
            "{\"keys\":{}}".to_owned(),
            "not an object with an array",
        ),
        (
            "keys null",
            "{\"keys\":null}".to_owned(),
            "not an object with an array",
        ),
        ("array", format!("[{plain}]"), "not an object with an array"),
        (
            "jwks-single-jwk",
            KEYS.a_rsa.jwk().to_string(),
            "not an object with an array",
        ),
        (
            "jwks-html",
            "<html><body>{\"keys\":[]}</body></html>".to_owned(),
            "not strict JSON",
        ),
        (
            "jwks-truncated",
            plain[..plain.len() / 2].to_owned(),
            "not strict JSON",
        ),
        (
            "jwks-dup-member",
            format!("{{\"keys\":[],{}", &plain[1..]),
            "\"keys\" occurs twice",
        ),
        (
            "member twice in a key",
            plain.replacen("\"kty\"", "\"kid\":\"x\",\"kty\"", 1),
            "\"kid\" occurs twice",
        ),
        ("jwks-trailing", format!("{plain}}}"), "trailing"),
        ("101 keys", text(&many), "has 101 keys"),
        ("jwks-10k-keys", text(&vec![json!({}); 10_000]), "has 10000 keys"),
        ("empty", String::new(), "not strict JSON"),
    ] {
        let refusal = KeySet::parse(document.as_bytes()).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{id}: {refusal}");
    }
}

#[test]
fn two_keys_under_one_name() {
    let (good, evil) = (KEYS.a_rsa.jwk(), KEYS.mallory.jwk());
    let parse = |keys: &[Value]| KeySet::parse(&document(keys)).unwrap();
    let ec = KEYS.b_ec.jwk();
    for (id, keys) in [
        ("jwks-dup-kid-diff", [good.clone(), ec.clone(), evil.clone()]),
        ("jwks-dup-kid-evil", [evil.clone(), ec.clone(), good.clone()]),
    ] {
        let (keys, skipped) = parse(&keys);
        assert!(
            keys.get("a-rsa-1").is_none() && keys.get("b-ec-1").is_some(),
            "{id}"
        );
        assert_eq!(skipped.last().map(|s| s.why), Some(Flaw::Ambiguous), "{id}");
    }
    let (keys, _) = parse(&[good.clone(), evil.clone(), good.clone(), ec.clone()]);
    assert!(keys.get("a-rsa-1").is_none(), "three times");
    assert!(
        parse(&[good.clone(), good.clone()]).0.get("a-rsa-1").is_some(),
        "the same key twice"
    );
    let other_algorithm = with(good.clone(), "alg", json!("PS256"));
    assert!(
        parse(&[good.clone(), other_algorithm, ec])
            .0
            .get("a-rsa-1")
            .is_none(),
        "one key, two algorithms"
    );
    // A key that could never verify does not make the name ambiguous.
    assert!(
        parse(&[with(evil, "use", json!("enc")), good])
            .0
            .get("a-rsa-1")
            .is_some()
    );
}

#[test]
fn a_key_is_bound_to_its_algorithm() {
    let (keys, _) = KeySet::parse(&document(&jwks_a())).unwrap();
    let all = [
        &KEYS.a_rsa,
        &KEYS.a_ps,
        &KEYS.a_ec,
        &KEYS.a_ec384,
        &KEYS.a_ed,
        &KEYS.a_plain,
    ];
    for key in all {
        let minted = token(key).mint();
        let (message, signature) = minted.rsplit_once('.').unwrap();
        for algorithm in Algorithm::ASYMMETRIC {
            let got = keys
                .get(key.kid)
                .unwrap()
                .verify(algorithm, message.as_bytes(), &unb64(signature));
            let expected = if algorithm == key.algorithm {
                Ok(())
            } else if key.kid == "a-plain-1" && algorithm == Algorithm::Ps256 {
                Err(NotVerified::Signature)
            } else {
                Err(NotVerified::Algorithm)
            };
            assert_eq!(got, expected, "{} with {algorithm}", key.kid);
        }
    }
}

#[test]
fn a_set_equals_itself_and_nothing_else() {
    let parse = |keys: &[Value]| KeySet::parse(&document(keys)).unwrap().0;
    let mut keys = jwks_a();
    let before = parse(&keys);
    keys.reverse();
    assert_eq!(parse(&keys), before, "the order does not matter");
    let last = keys.len() - 1;
    keys[last] = KEYS.mallory.jwk();
    assert_ne!(parse(&keys), before, "same names, other key");
    keys.pop();
    assert_ne!(parse(&keys), before, "one less");
}
