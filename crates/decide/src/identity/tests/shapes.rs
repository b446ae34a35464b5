//! What a token is made of: headers, payloads, encodings, and whose it says it is.

use super::*;

#[test]
fn headers_and_types() {
    let nested = good().raw_claims(good().mint()).head("cty", "JWT").mint();
    let text = good().header_text();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with = |inner: &str| format!("{{{inner},{}", &text[1..]);
    let deep = format!("{{\"x\":{}{},{}", "[".repeat(2000), "]".repeat(2000), &text[1..]);
    let typ = |typ: &str| good().head("typ", typ).mint();
    check([
        (
            "crit-unknown",
            good().head("crit", json!(["bork"])).mint(),
            refused!(R::HeaderForbidden("crit")),
        ),
        (
            "crit-empty",
            good().head("crit", json!([])).mint(),
            refused!(R::HeaderForbidden("crit")),
        ),
        (
            "crit-string",
            good().head("crit", "bork").mint(),
            refused!(R::HeaderForbidden("crit")),
        ),
        (
            "crit-standard",
            good().head("crit", json!(["alg"])).mint(),
            refused!(R::HeaderForbidden("crit")),
        ),
        (
            "crit-dup",
            good().head("crit", json!(["x", "x"])).mint(),
            refused!(R::HeaderForbidden("crit")),
        ),
        (
            "crit null",
            good().head("crit", Value::Null).mint(),
            refused!(R::HeaderForbidden("crit")),
        ),
        (
            "b64-true",
            good().head("b64", true).mint(),
            refused!(R::HeaderForbidden("b64")),
        ),
        (
            "zip",
            good().head("zip", "DEF").mint(),
            refused!(R::HeaderForbidden("zip")),
        ),
        (
            "enc",
            good().head("enc", "A128GCM").mint(),
            refused!(R::HeaderForbidden("enc")),
        ),
        ("cty-jwt-nested", nested, refused!(R::HeaderForbidden("cty"))),
        (
            "nested without cty",
            good().raw_claims(good().mint()).mint(),
            refused!(R::Json { .. }),
        ),
        ("typ-logout", typ("logout+jwt"), refused!(R::TokenType(_))),
        ("typ-secevent", typ("secevent+jwt"), refused!(R::TokenType(_))),
        ("typ-dpop", typ("dpop+jwt"), refused!(R::TokenType(_))),
        (
            "typ-introspect",
            typ("token-introspection+jwt"),
            refused!(R::TokenType(_)),
        ),
        ("typ empty", typ(""), refused!(R::TokenType(_))),
        (
            "typ doubly prefixed",
            typ("application/application/jwt"),
            refused!(R::TokenType(_)),
        ),
        (
            "typ-null",
            good().head("typ", Value::Null).mint(),
            refused!(R::Header { name: "typ", .. }),
        ),
        (
            "hdr-dup-kid",
            good().raw_header(with("\"kid\":\"a-ec-1\"")).mint(),
            refused!(R::Json {
                part: Part::Header,
                ..
            }),
        ),
        (
            "hdr-dup-unknown",
            good().raw_header(with("\"x\":1,\"x\":1")).mint(),
            refused!(R::Json {
                part: Part::Header,
                ..
            }),
        ),
        (
            "hdr-string",
            good().raw_header("\"x\"").mint(),
            refused!(R::NoHeader),
        ),
        (
            "hdr-null",
            good().raw_header("null").mint(),
            refused!(R::NoHeader),
        ),
        (
            "hdr-empty-object",
            good().raw_header("{}").mint(),
            refused!(R::Header { name: "alg", .. }),
        ),
        (
            "hdr-utf16",
            good().raw_header(utf16).mint(),
            refused!(R::Json {
                part: Part::Header,
                ..
            }),
        ),
        (
            "hdr-trailing",
            good().raw_header(format!("{text}{{}}")).mint(),
            refused!(R::Json {
                part: Part::Header,
                ..
            }),
        ),
        (
            "hdr-trailing-comma",
            good()
                .raw_header(format!("{},}}", &text[..text.len() - 1]))
                .mint(),
            refused!(R::Json {
                part: Part::Header,
                ..
            }),
        ),
        (
            "hdr-nul",
            good().raw_header(format!("{text}\0")).mint(),
            refused!(R::Json {
                part: Part::Header,
                ..
            }),
        ),
        (
            "hdr-deep",
            good().raw_header(deep).mint(),
            refused!(R::Json {
                part: Part::Header,
                ..
            }),
        ),
    ]);
}

#[test]
fn payloads() {
    let payload = || {
        refused!(R::Json {
            part: Part::Payload,
            ..
        })
    };
    let raw = |name: &str, text: &str| good().raw_member(name, text).mint();
    let text = good().claims_text();
    let bytes = |name: &str, text: &[u8]| {
        let rest = good().no_claim(name).claims_text();
        let mut all = format!("{{\"{name}\":\"").into_bytes();
        all.extend_from_slice(text);
        all.extend_from_slice(format!("\",{}", &rest[1..]).as_bytes());
        good().raw_claims(all).mint()
    };
    check([
        (
            "pl-array",
            good().raw_claims(format!("[{text}]")).mint(),
            payload(),
        ),
        ("pl-null", good().raw_claims("null").mint(), payload()),
        ("pl-number", good().raw_claims("1").mint(), payload()),
        (
            "pl-empty-object",
            good().raw_claims("{}").mint(),
            bad_claim!("iss", F::Missing),
        ),
        ("pl-text", good().raw_claims("hello").mint(), payload()),
        (
            "pl-binary",
            good().raw_claims([0xFF, 0x00, 0x80]).mint(),
            payload(),
        ),
        ("dup-sub2", raw("sub", "\"admin\",\"sub\":\"user-1\""), payload()),
        (
            "dup-exp2",
            raw("exp", &format!("1,\"exp\":{}", NOW + 300)),
            payload(),
        ),
        (
            "dup-nested",
            raw("realm_access", "{\"roles\":[],\"roles\":[\"admin\"]}"),
            payload(),
        ),
        (
            "dup-escaped",
            raw("sub", "\"user-1\",\"\\u0073ub\":\"admin\""),
            payload(),
        ),
        ("pl-hex", raw("exp", "0x7fffffff"), payload()),
        ("pl-leadzero", raw("exp", "01900000000"), payload()),
        ("pl-plus", raw("exp", "+1900000000"), payload()),
        ("pl-bad-utf8", bytes("sub", b"a\xFFb"), payload()),
        ("pl-overlong", bytes("sub", b"a\xC0\xAFb"), payload()),
        ("pl-surrogate", raw("sub", "\"\\ud800\""), payload()),
        (
            "pl-bom",
            good().raw_claims(format!("\u{feff}{text}")).mint(),
            payload(),
        ),
        ("pl-bignum", raw("exp", &"9".repeat(4000)), payload()),
        ("exp-num-1e999", raw("exp", "1e999"), payload()),
        ("exp-num-neg1e999", raw("exp", "-1e999"), payload()),
    ]);
}

#[test]
fn encodings_and_segments() {
    let minted = good().mint();
    let segments: Vec<&str> = minted.split('.').collect();
    let with = |index: usize, f: &dyn Fn(&str) -> String| {
        let mut segments: Vec<String> = segments.iter().map(|s| (*s).to_owned()).collect();
        segments[index] = f(&segments[index]);
        segments.join(".")
    };
    // 256 bytes of signature leave four unused bits in the last character, which must be zero.
    let loose = |s: &str| format!("{}{}", &s[..s.len() - 1], loosen(s.chars().last().unwrap()));
    let padded = (0..3).map(|n| good().claim("pad", "p".repeat(n)));
    let short = padded
        .into_iter()
        .find(|t| t.claims_text().len() % 3 != 0)
        .unwrap();
    let loose_payload = {
        let (header, payload) = (b64(short.header_text()), b64(short.claims_text()));
        let unsigned = format!("{header}.{}", loose(&payload));
        format!("{unsigned}.{}", b64(KEYS.a_rsa.sign(unsigned.as_bytes())))
    };
    let pbes2 = json!({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_147_483_647, "p2s": "AAAA"});
    check([
        (
            "b64-pad",
            with(0, &|s| format!("{s}=")),
            refused!(R::Base64(Part::Header)),
        ),
        (
            "b64-pad-sig",
            format!("{minted}=="),
            refused!(R::Base64(Part::Signature)),
        ),
        (
            "b64-trailing-bits",
            with(2, &loose),
            refused!(R::Base64(Part::Signature)),
        ),
        (
            "b64-trailing-bits-payload",
            loose_payload,
            refused!(R::Base64(Part::Payload)),
        ),
        (
            "b64-space",
            with(0, &|s| format!("{} {}", &s[..4], &s[4..])),
            refused!(R::Character(b' ')),
        ),
        ("b64-pct", minted.replace('.', "%2E"), refused!(R::Segments(1))),
        (
            "b64-len1",
            with(0, &|s| format!("{s}{}", &"AAAA"[..(5 - s.len() % 4) % 4])),
            refused!(R::Base64(Part::Header)),
        ),
        (
            "b64-unicode",
            with(0, &|s| format!("\u{ff45}{}", &s[1..])),
            refused!(R::Character(0xEF)),
        ),
        (
            "base64 instead of base64url",
            with(2, &|s| format!("+{}", &s[1..])),
            refused!(R::Base64(Part::Signature)),
        ),
        ("seg-0", String::new(), refused!(R::NoToken)),
        ("seg-1", segments[0].to_owned(), refused!(R::Segments(1))),
        ("seg-2", segments[..2].join("."), refused!(R::Segments(2))),
        ("seg-4", format!("{minted}.AAAA"), refused!(R::Segments(4))),
        (
            "seg-5 (JWE)",
            format!("{minted}.AAAA.AAAA"),
            refused!(R::Segments(5)),
        ),
        ("seg-4, empty", format!("{minted}."), refused!(R::Segments(4))),
        ("seg-dots", "..".to_owned(), refused!(R::NoHeader)),
        (
            "seg-empty-payload",
            good().raw_claims("").mint(),
            refused!(R::Json {
                part: Part::Payload,
                ..
            }),
        ),
        (
            "seg-empty-header",
            with(0, &|_| String::new()),
            refused!(R::NoHeader),
        ),
        (
            "seg-jwe-pbes2",
            format!("{}.AAAA.AAAA.AAAA.AAAA", b64(pbes2.to_string())),
            refused!(R::Segments(5)),
        ),
        (
            "pbes2 in three segments",
            good().raw_header(pbes2.to_string()).mint(),
            refused!(R::HeaderForbidden("enc")),
        ),
    ]);
}

#[test]
fn issuers() {
    let k = &*KEYS;
    let iss = |iss: &str| good().claim("iss", iss).mint();
    let unknown = || refused!(R::UnknownIssuer(_));
    check([
        (
            "iss-missing",
            good().no_claim("iss").mint(),
            bad_claim!("iss", F::Missing),
        ),
        (
            "iss-bool",
            good().claim("iss", true).mint(),
            bad_claim!("iss", F::Not(_)),
        ),
        ("iss-empty", iss(""), bad_claim!("iss", F::Empty)),
        (
            "iss-array-b-signed",
            token(&k.b_ec).claim("iss", json!([ISSUER_B, ISSUER_A])).mint(),
            bad_claim!("iss", F::Not(_)),
        ),
        (
            "iss array of one",
            good().claim("iss", json!([ISSUER_A])).mint(),
            bad_claim!("iss", F::Not(_)),
        ),
        ("iss-slash", iss(&format!("{ISSUER_A}/")), unknown()),
        ("iss-scheme", iss("http://a.test/realms/one"), unknown()),
        ("iss-userinfo", iss("https://x@a.test/realms/one"), unknown()),
        ("iss-frag", iss(&format!("{ISSUER_A}#x")), unknown()),
        (
            "iss-nul",
            iss(&format!("{ISSUER_A}\0")),
            bad_claim!("iss", F::Control),
        ),
        ("iss-dot", iss("https://a.test./realms/one"), unknown()),
        ("iss in capitals", iss("https://A.test/realms/one"), unknown()),
        (
            "iss-a-signed-b",
            token(&k.b_ec).mint(),
            refused!(R::UnknownKey { .. }),
        ),
        (
            "iss-a-shared-kid-b",
            token(&k.b_shared).mint(),
            refused!(R::Signature(_)),
        ),
        (
            "iss-b-alg-rs256",
            token(&k.b_rsa).claim("iss", ISSUER_B).mint(),
            refused!(R::AlgorithmNotAllowed(Algorithm::Rs256)),
        ),
        (
            "iss-header-only",
            good().no_claim("iss").head("iss", ISSUER_A).mint(),
            bad_claim!("iss", F::Missing),
        ),
        (
            "iss-header-mismatch",
            token(&k.b_ec).head("iss", ISSUER_B).mint(),
            refused!(R::UnknownKey { .. }),
        ),
    ]);
}

/// A sample of what `claims/tests.rs` and `keycloak/tests.rs` have in full, to see that they are asked.
#[test]
fn claims_are_checked() {
    let groups: Vec<String> = (0..5000).map(|n| format!("/group-{n}")).collect();
    let extra = |count: usize| {
        let extra = (0..count)
            .map(|n| format!("\"c{n}\":1"))
            .collect::<Vec<_>>()
            .join(",");
        good()
            .raw_claims(format!("{{{extra},{}", &good().claims_text()[1..]))
            .mint()
    };
    check([
        (
            "aud-wrong",
            good().claim("aud", "other").mint(),
            refused!(R::Audience(_)),
        ),
        (
            "exp-leeway-over",
            good().claim("exp", NOW - 35).mint(),
            refused!(R::Expired { .. }),
        ),
        (
            "nbf-future",
            good().claim("nbf", NOW + 3600).mint(),
            refused!(R::NotYetValid { name: "nbf", .. }),
        ),
        (
            "sub-missing",
            good().no_claim("sub").mint(),
            bad_claim!("sub", F::Missing),
        ),
        (
            "jti-control",
            good().claim("jti", "a\0b").mint(),
            bad_claim!("jti", F::Control),
        ),
        (
            "cnf-jkt",
            good().claim("cnf", json!({"jkt": "x"})).mint(),
            refused!(R::SenderConstrained),
        ),
        (
            "groups-string",
            good().claim("groups", "/admins").mint(),
            bad_claim!("groups", F::Not(_)),
        ),
        (
            "an ID token",
            good().claim("typ", "ID").mint(),
            refused!(R::KeycloakType(_)),
        ),
        ("nobody", good().no_claim("sid").mint(), refused!(R::Nobody)),
        (
            "size-1m",
            good().claim("x", "x".repeat(1 << 20)).mint(),
            refused!(R::TooLong(_)),
        ),
        (
            "size-groups-5000",
            good().claim("groups", json!(groups)).mint(),
            refused!(R::TooLong(_)),
        ),
        ("size-claims-2000", extra(2000), refused!(R::TooLong(_))),
        ("size-hash-flood", extra(600), user()),
    ]);
}

/// The next character of the alphabet: only unused bits differ.
fn loosen(last: char) -> char {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = ALPHABET.find(last).unwrap();
    ALPHABET.chars().nth(index + 1).unwrap()
}
