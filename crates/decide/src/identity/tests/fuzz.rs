//! Whatever is sent is read or refused, and what is read has the shape it promises.
//!
//! Each target has its corpus in `__fuzz__/<name>/corpus` and runs as an ordinary test; `cargo bolero` can run it for longer.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::PrincipalKind;
use serde_json::Map;

use super::*;
use crate::identity::claims::{Claims, Demands, Registered};
use crate::identity::credentials::{MAX_TOKEN_BYTES, find};
use crate::identity::issuer::Purpose;
use crate::identity::jwks::MAX_KEYS;
use crate::identity::jws::MAX_KID_BYTES;

/// Runs of each target when it is a test.
const ITERATIONS: usize = 20_000;

/// How often a target came to what is accepted: one that never does proves nothing.
struct Accepted(AtomicUsize);

impl Accepted {
    const fn none() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    #[track_caller]
    fn at_least(&self, least: usize) {
        let accepted = self.0.load(Ordering::Relaxed);
        assert!(accepted >= least, "only {accepted} inputs were accepted");
    }
}

/// Bytes as choices: small numbers, until they end.
struct Choices<'b>(&'b [u8]);

impl<'b> Choices<'b> {
    fn byte(&mut self) -> usize {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                usize::from(*first)
            }
            [] => 0,
        }
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.byte() % all.len()]
    }

    fn bytes(&mut self) -> &'b [u8] {
        let count = self.byte().min(self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// A JSON value with names and texts that mean something, at most `levels` deep.
fn value(choices: &mut Choices<'_>, names: &[&str], texts: &[&str], levels: usize) -> Value {
    match choices.byte() % 10 {
        0 => Value::Null,
        1 => json!(choices.byte() > 127),
        2 => json!(choices.byte()),
        3 => json!(NOW - 128 + choices.byte() as u64),
        4 => json!(-1.5e300),
        5 => json!(choices.text()),
        8 if levels > 0 => (0..choices.byte() % 5)
            .map(|_| value(choices, names, texts, levels - 1))
            .collect(),
        9 if levels > 0 => members(choices, names, texts, levels).into(),
        _ => json!(choices.of(texts)),
    }
}

/// The members of such a value.
fn members(choices: &mut Choices<'_>, names: &[&str], texts: &[&str], levels: usize) -> Map<String, Value> {
    (0..choices.byte() % 5)
        .map(|_| {
            let name = choices.of(names).to_owned();
            (name, value(choices, names, texts, levels - 1))
        })
        .collect()
}

/// The compact form: what is read was written in one way only, and re-encodes to the same bytes.
#[test]
fn jws() {
    static ACCEPTED: Accepted = Accepted::none();
    fn property(token: &str) -> bool {
        let Ok(jws) = Jws::parse(token) else { return false };
        let segments: Vec<&str> = token.split('.').collect();
        assert_eq!(segments.len(), 3);
        assert_eq!(jws.signed, format!("{}.{}", segments[0], segments[1]));
        assert_eq!(URL_SAFE_NO_PAD.encode(&jws.signature), segments[2]);
        for segment in segments {
            assert_eq!(b64(unb64(segment)), segment);
        }
        let claims = serde_json::from_slice::<Value>(&unb64(token.split('.').nth(1).unwrap()));
        assert_eq!(
            claims.unwrap(),
            Value::Object(jws.claims),
            "another parser reads other claims"
        );
        assert!(jws.kid.is_none_or(|kid| (1..=MAX_KID_BYTES).contains(&kid.len())));
        assert!(token.len() <= MAX_TOKEN_BYTES);
        ACCEPTED.one();
        true
    }
    let names = ["alg", "typ", "kid", "crit", "b64", "jwk", "iss", "sub", "x"];
    let texts = [
        "RS256", "EdDSA", "none", "HS256", "JWT", "at+jwt", "a-rsa-1", "", "a.b",
    ];
    bolero::check!(name = "jws")
        .with_iterations(ITERATIONS)
        .for_each(|bytes: &[u8]| {
            if let Ok(text) = std::str::from_utf8(bytes) {
                property(text);
            }
            let mut choices = Choices(bytes);
            let mut header = json!({"alg": choices.of(&["RS256", "ES384", "Ed25519", "HS512", "none"])});
            if choices.byte() % 2 == 0 {
                header[choices.of(&names)] = value(&mut choices, &names, &texts, 2);
            }
            let claims = match choices.byte() % 8 {
                0 => value(&mut choices, &names, &texts, 3),
                _ => members(&mut choices, &names, &texts, 4).into(),
            };
            let raw = [
                header.to_string().into_bytes(),
                claims.to_string().into_bytes(),
                choices.bytes().to_vec(),
            ];
            let mut segments = raw.map(b64);
            let read = property(&segments.join("."));
            if read {
                // With one more character in one segment it is another token, or none.
                segments[choices.byte() % 3].push_str(choices.of(&["A", "=", "+", "\0", "Q"]));
                property(&segments.join("."));
            }
        });
    ACCEPTED.at_least(ITERATIONS / 20);
}

const CLAIMS: [&str; 34] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "scope",
    "cnf",
    "act",
    "azp",
    "client_id",
    "clientId",
    "sid",
    "auth_time",
    "acr",
    "typ",
    "ver",
    "wlcg.ver",
    "wlcg.groups",
    "groups",
    "roles",
    "resource_access",
    "ent",
    "nonce",
    "at_hash",
    "preferred_username",
    "name",
    "eduperson_assurance",
    "eduperson_entitlement",
    "scp",
    "realm",
    "x",
    "y",
];

const TEXTS: [&str; 27] = [
    "user-1",
    "portcullis",
    "portal",
    "user-1",
    "Bearer",
    "ID",
    "1.0",
    "2.1",
    "scitoken:2.0",
    "openid roles",
    "storage.read:/a",
    "storage.read:/a/../b",
    "compute.create",
    "read:/x",
    "host:x.test",
    "host.auth",
    "/a/b/c",
    "a//b",
    "urn:geant:x.test:group:dev:sub:role=r#y",
    "onrtte:1",
    "ofrtac:1",
    "service-account-portal",
    "offline_access",
    "",
    " ",
    "a\r\nb",
    "https://wlcg.cern.ch/jwt/v1/any",
];

static ISSUERS: LazyLock<Vec<Issuer>> = LazyLock::new(issuers);

/// One issuer of every profile, and some with mappings and rules.
fn issuers() -> Vec<Issuer> {
    let mapping = json!({
        "id": "/realm/x", "name": "x", "client": "y", "groups": "/realm/groups", "roles": "roles", "scopes": "scp",
        "entitlements": "eduperson_entitlement", "actor": "/act/azp",
        "type": {"claim": "typ", "values": {"Bearer": "User", "ID": "Robot"}, "otherwise": "Client"},
    });
    let nested = json!({"group_hierarchy": "nested", "trust_roles": true});
    let rows = [
        json!({}),
        nested,
        json!({"actor": "azp", "claims": {"type": {"otherwise": "Robot"}}}),
        json!({"claims": mapping, "trust_roles": true}),
        json!({"profile": "oidc", "group_hierarchy": "nested"}),
        json!({"profile": "oidc", "claims": mapping}),
        json!({"profile": "wlcg", "base_path": "/vo"}),
        json!({"profile": "wlcg", "claims": mapping}),
        json!({"profile": "scitokens"}),
        json!({"profile": "scitokens", "claims": mapping}),
        json!({"profile": "backstage"}),
    ];
    rows.map(|row| Issuer::with_keys(&under(row), holding(KeySet::default())))
        .into()
}

/// The claims: whoever they are said to be of is of the issuer, and can be written into a log and a header.
#[test]
fn claims() {
    static ACCEPTED: Accepted = Accepted::none();
    let demands = Demands {
        audiences: vec![OURS.to_owned()],
        expiry_leeway: 0.0,
        start_leeway: 0.0,
        max_lifetime: Some(3600),
    };
    let good = serde_json::from_str::<Value>(&good().claims_text()).unwrap();
    let for_wlcg = json!({"wlcg.ver": "1.0", "client_id": "portal", "ver": "scitoken:2.0", "nbf": NOW - 5});
    let property = |claims: &Map<String, Value>| {
        let checked = Registered::check(Claims(claims), &demands, now());
        let registered = match checked {
            Ok(registered) => {
                assert!(registered.expires_at > NOW as f64, "{registered:?}");
                assert!(
                    registered.issued_at.is_some_and(|iat| iat <= NOW as f64),
                    "{registered:?}"
                );
                assert!(registered.audiences.contains(&OURS.to_owned()), "{registered:?}");
                assert!(!claims.contains_key("cnf"));
                registered
            }
            Err(refusal) => {
                assert!(!refusal.to_string().chars().any(char::is_control), "{refusal}");
                Registered::without_end("user-1")
            }
        };
        for issuer in &*ISSUERS {
            for purpose in [Purpose::Access, Purpose::Unsaid] {
                match issuer.principal(claims, &registered, purpose) {
                    Ok(who) => {
                        sound(&who);
                        ACCEPTED.one();
                    }
                    Err(refusal) => assert!(!refusal.to_string().chars().any(char::is_control), "{refusal}"),
                }
            }
        }
    };
    bolero::check!(name = "claims")
        .with_iterations(ITERATIONS / 4)
        .for_each(|bytes: &[u8]| {
            if let Ok(Value::Object(claims)) = json::parse(bytes) {
                property(&claims);
            }
            let mut choices = Choices(bytes);
            // A good token, and then some.
            let mut claims = good.as_object().unwrap().clone();
            if choices.byte() % 2 == 0 {
                claims.extend(for_wlcg.as_object().unwrap().clone());
            }
            for _ in 0..choices.byte() % 8 {
                let name = choices.of(&CLAIMS);
                if choices.byte() % 4 == 0 {
                    claims.remove(name);
                } else {
                    claims.insert(name.to_owned(), value(&mut choices, &CLAIMS, &TEXTS, 3));
                }
            }
            property(&claims);
        });
    ACCEPTED.at_least(ITERATIONS / 20);
}

#[track_caller]
fn sound(who: &Principal) {
    assert!(who.id.starts_with("a/") && who.id.len() > 2, "{who:?}");
    assert_eq!(who.issuer, "a");
    assert_ne!(who.kind, PrincipalKind::Anonymous);
    let roles = who
        .roles
        .iter()
        .flat_map(|(client, roles)| roles.iter().chain([client]));
    let actors = who.actors.iter().map(|actor| &actor.id);
    let lists = who.groups.iter().chain(&who.scopes).chain(roles).chain(actors);
    for name in lists
        .chain(&who.name)
        .chain(&who.client)
        .chain([&who.id, &who.subject])
    {
        assert!(
            !name.is_empty() && !name.chars().any(char::is_control),
            "{name:?} in {who:?}"
        );
    }
    assert!(
        who.actors.iter().all(|actor| actor.id.starts_with("a/")),
        "{who:?}"
    );
    if who.kind == PrincipalKind::Client {
        assert!(who.groups.is_empty() && who.roles.is_empty(), "{who:?}");
    }
}

/// The keys: never too many, each under the name by which it is found, never a secret.
#[test]
fn jwks() {
    static ACCEPTED: Accepted = Accepted::none();
    fn property(document: &[u8]) {
        match KeySet::parse(document) {
            Ok((keys, skipped)) => {
                assert!((1..=MAX_KEYS).contains(&keys.len()));
                assert!(keys.len() + skipped.len() <= 2 * MAX_KEYS);
                assert!(!keys.are_secrets());
                for algorithm in Algorithm::ASYMMETRIC {
                    for (kid, key) in keys.of_algorithm(algorithm) {
                        assert_eq!(keys.get(kid), Some(key));
                        assert!(key.verify(algorithm, b"message", &[0; 64]).is_err());
                    }
                }
                for algorithm in Algorithm::SYMMETRIC {
                    assert_eq!(keys.of_algorithm(algorithm).count(), 0);
                }
                let (again, _) = KeySet::parse(document).unwrap();
                assert_eq!(keys, again);
                ACCEPTED.one();
            }
            Err(refusal) => assert!(!refusal.to_string().chars().any(char::is_control), "{refusal}"),
        }
    }
    let published: Vec<Value> = [jwks_a(), jwks_b()].concat();
    let names = [
        "kty", "kid", "alg", "use", "key_ops", "n", "e", "x", "y", "crv", "d", "k", "x5c",
    ];
    let texts = [
        "RSA", "EC", "OKP", "oct", "RS256", "EdDSA", "HS256", "sig", "enc", "verify", "P-256", "P-384",
        "Ed25519", "AQAB", "Aw", "AAAA", "a-rsa-1",
    ];
    bolero::check!(name = "jwks")
        .with_iterations(ITERATIONS / 4)
        .for_each(|bytes: &[u8]| {
            property(bytes);
            let mut choices = Choices(bytes);
            let count = match choices.byte() {
                many @ 250.. => many - 150,
                few => few % 5,
            };
            let mut keys = Vec::new();
            for _ in 0..count {
                let mut key = published[choices.byte() % published.len()].clone();
                for _ in 0..choices.byte() % 3 {
                    key[choices.of(&names)] = value(&mut choices, &names, &texts, 1);
                }
                keys.push(key);
            }
            property(&document(&keys));
        });
    ACCEPTED.at_least(ITERATIONS / 20);
}

/// Credentials: what is found is one token, of visible ASCII, in one of the places, and was sent.
#[test]
fn credentials() {
    static ACCEPTED: Accepted = Accepted::none();
    let places = [
        Place::Bearer,
        Place::Header("x-token".to_owned()),
        Place::Cookie("session".to_owned()),
        Place::Query("access_token".to_owned()),
    ];
    let names = [
        "authorization",
        "Authorization",
        "x-token",
        "X-Token",
        "cookie",
        "x_token",
        ":path",
    ];
    let values = [
        "Bearer a.b.c",
        "bearer x",
        "Basic x",
        "a.b.c",
        "session=t",
        "x=1; session=t; y",
        "session=",
        "",
        " ",
    ];
    let queries = [
        "access_token=t",
        "access%5ftoken=t",
        "a=b&access_token=",
        "a;b",
        "%zz",
        "",
        "x=%00",
    ];
    bolero::check!(name = "credentials")
        .with_iterations(ITERATIONS)
        .for_each(|bytes: &[u8]| {
            let mut choices = Choices(bytes);
            let mut sent: Vec<(&str, Vec<u8>)> = Vec::new();
            for _ in 0..choices.byte() % 4 {
                let name = choices.of(&names);
                let mut value = choices.of(&values).as_bytes().to_vec();
                if choices.byte() % 2 == 0 {
                    value.extend(choices.bytes());
                }
                sent.push((name, value));
            }
            let query = match choices.byte() % 3 {
                0 => None,
                1 => Some(choices.of(&queries).to_owned()),
                _ => Some(choices.text()),
            };
            let mut headers = Headers::default();
            for (name, value) in &sent {
                headers.push(name, value);
            }
            let places = &places[..choices.byte() % 5];
            match find(&headers, query.as_deref(), places) {
                Ok(Some(found)) => {
                    ACCEPTED.one();
                    let token = found.token.as_bytes();
                    assert!((1..=MAX_TOKEN_BYTES).contains(&token.len()));
                    assert!(token.iter().all(u8::is_ascii_graphic), "{token:?}");
                    let place = found.place.unwrap();
                    assert!(*place == Place::Bearer || places.contains(place), "{place:?}");
                    if !matches!(place, Place::Query(_)) {
                        let holds = |value: &[u8]| value.windows(token.len()).any(|part| part == token);
                        assert!(sent.iter().any(|(_, value)| holds(value)), "{token:?}");
                    }
                }
                // What is in the one header that always counts is never overlooked.
                Ok(None) => assert!(headers.all("authorization").next().is_none()),
                Err(refusal) => assert!(!refusal.to_string().chars().any(char::is_control), "{refusal}"),
            }
        });
    ACCEPTED.at_least(ITERATIONS / 20);
}
