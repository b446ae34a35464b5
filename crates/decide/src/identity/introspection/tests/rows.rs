//! Answers and settings, good and bad.

use super::*;
use crate::identity::refusal::{ClaimFault, Quoted};
use crate::problem::Place;

#[test]
fn an_answer_vouches_or_it_does_not() {
    let endless = [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(),
        vec![b' '; 1 << 20],
    ]
    .concat();
    let nested = "[".repeat(100);
    let failed = |text: &'static str| Some(text);
    // What the token gets, and whether the endpoint is left alone afterwards.
    let (asked_on, left_alone) = (false, true);
    let rows: Vec<(&str, Vec<u8>, Option<&str>, bool)> = vec![
        ("inactive", ok(r#"{"active":false}"#), None, asked_on),
        (
            "inactive and more",
            ok(r#"{"active":false,"sub":"u-1","aud":"ours"}"#),
            None,
            asked_on,
        ),
        (
            "no verdict",
            ok(r#"{"sub":"u-1","aud":"ours"}"#),
            failed("boolean"),
            asked_on,
        ),
        ("string", ok(r#"{"active":"true"}"#), failed("boolean"), asked_on),
        ("number", ok(r#"{"active":1}"#), failed("boolean"), asked_on),
        ("null", ok(r#"{"active":null}"#), failed("boolean"), asked_on),
        (
            "other case",
            ok(r#"{"Active":true}"#),
            failed("boolean"),
            asked_on,
        ),
        ("array", ok(r#"[{"active":true}]"#), failed("boolean"), asked_on),
        ("true alone", ok("true"), failed("boolean"), asked_on),
        (
            "twice",
            ok(r#"{"active":false,"active":true}"#),
            failed("strict JSON"),
            asked_on,
        ),
        ("html", ok("<html>"), failed("strict JSON"), asked_on),
        ("empty", ok(""), failed("strict JSON"), asked_on),
        (
            "more behind",
            ok(r#"{"active":true}{}"#),
            failed("strict JSON"),
            asked_on,
        ),
        (
            "nested",
            ok(format!(r#"{{"active":true,"x":{nested}"#)),
            failed("strict JSON"),
            asked_on,
        ),
        (
            "gzip",
            ok([0x1F, 0x8B, 0x08, 0, 0, 0]),
            failed("strict JSON"),
            asked_on,
        ),
        (
            "oversized",
            ok(vec![b' '; MAX_BYTES + 1]),
            failed("more than 65536 bytes"),
            asked_on,
        ),
        ("endless", endless, failed("more than 65536 bytes"), asked_on),
        ("400", status(400, ""), failed("answered 400"), asked_on),
        ("413", status(413, ""), failed("answered 413"), asked_on),
        ("401", status(401, ""), failed("answered 401"), left_alone),
        ("403", status(403, ""), failed("answered 403"), left_alone),
        ("404", status(404, ""), failed("answered 404"), left_alone),
        ("429", status(429, ""), failed("answered 429"), asked_on),
        ("500", status(500, ""), failed("answered 500"), asked_on),
        ("503", status(503, ""), failed("answered 503"), asked_on),
        ("201", status(201, ""), failed("answered 201"), left_alone),
        (
            "redirect",
            status(307, "location: /elsewhere\r\n"),
            failed("answered 307"),
            left_alone,
        ),
        (
            "no HTTP",
            b"hello\r\n\r\n".to_vec(),
            failed("/introspect: "),
            left_alone,
        ),
        (
            "cut off",
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 15\r\n\r\n{\"active\":true".to_vec(),
            failed("/introspect: "),
            left_alone,
        ),
    ];
    run(async {
        for (id, raw, expected, pauses) in rows {
            let server = Server::new().await;
            let introspector = introspector(&server, json!({}));
            server.answer("t", raw);
            match (ask_and_wait(&introspector, "t").await, expected) {
                (Outcome::Inactive, None) => {}
                (Outcome::Failed(failure), Some(expected)) => {
                    assert!(failure.to_string().contains(expected), "{id}: {failure}");
                }
                (outcome, _) => panic!("{id}: {outcome:?}"),
            }
            let next = ask(&introspector, "next");
            assert_eq!(
                matches!(next, Asked::Busy(Busy::CoolingDown)),
                pauses,
                "{id}: {next:?}"
            );
            let requests = server.requests();
            assert!(
                requests.iter().all(|r| r.starts_with("POST /introspect ")),
                "{id}"
            );
        }
    });
}

const NOW: f64 = 1_800_000_000.0;

fn judged(changes: &Value, setting: &Value) -> Result<Registered, TokenRefusal> {
    let mut answer = json!({
        "active": true, "sub": "u-1", "client_id": "portal", "aud": "ours", "exp": NOW + 300.0, "iat": NOW - 5.0,
        "jti": "id-1", "iss": "https://as.test", "token_type": "Bearer", "scope": "read", "username": "alice",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            // Taken away; a claim that is null is in `null_is_no_value`.
            Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
            value => answer[name] = value.clone(),
        }
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(NOW);
    registered(
        Claims(answer.as_object().unwrap()),
        &settings("https://as.test/introspect", setting.clone()),
        now,
    )
}

#[test]
fn good_answers_say_who_and_until_when() {
    let strict = json!({"issuer": "https://as.test"});
    for (changes, setting, subject, lasts) in [
        (json!({}), json!({}), "u-1", 300.0),
        (json!({}), strict.clone(), "u-1", 300.0),
        (json!({"iss": "https://other.test"}), json!({}), "u-1", 300.0),
        (json!({"aud": ["others", "ours"]}), json!({}), "u-1", 300.0),
        (json!({"exp": null}), json!({}), "u-1", 60.0),
        (json!({"exp": null}), json!({"cache_seconds": 1}), "u-1", 1.0),
        (
            json!({"exp": null, "nbf": NOW + 20.0}),
            json!({"cache_seconds": 1}),
            "u-1",
            1.0,
        ),
        (json!({"exp": NOW + 0.5}), json!({}), "u-1", 0.5),
        (json!({"iat": NOW + 30.0}), json!({}), "u-1", 300.0),
        (json!({"token_type": "bearer"}), json!({}), "u-1", 300.0),
        (json!({"token_type": "Access_Token"}), json!({}), "u-1", 300.0),
        (
            json!({"token_type": null, "iat": null, "jti": null}),
            json!({}),
            "u-1",
            300.0,
        ),
        (json!({"sub": null, "username": null}), json!({}), "portal", 300.0),
    ] {
        let registered = judged(&changes, &setting).unwrap_or_else(|e| panic!("{changes}: {e}"));
        assert_eq!(
            (registered.subject.as_str(), registered.expires_at),
            (subject, NOW + lasts),
            "{changes}"
        );
    }
}

#[test]
fn bad_answers_are_refused_for_their_first_fault() {
    use TokenRefusal as R;
    let plain = json!({});
    let strict = json!({"issuer": "https://as.test"});
    let expired = |ago: f64| R::Expired {
        ago,
        exp: NOW - ago,
        leeway: 0.0,
    };
    let early = |name: &'static str| R::NotYetValid {
        name,
        ahead: 31.0,
        leeway: 30.0,
    };
    for (changes, setting, expected) in [
        (
            json!({"aud": "others"}),
            &plain,
            R::Audience("\"others\"".to_owned()),
        ),
        (json!({"aud": "Ours"}), &plain, R::Audience("\"Ours\"".to_owned())),
        (json!({"aud": []}), &plain, R::Audience(String::new())),
        (json!({"aud": null}), &plain, fault("aud", ClaimFault::Missing)),
        (
            json!({"iss": "https://as.test/"}),
            &strict,
            R::UnknownIssuer(Quoted::new("https://as.test/")),
        ),
        (json!({"iss": null}), &strict, fault("iss", ClaimFault::Missing)),
        (
            json!({"iss": ["https://as.test"]}),
            &strict,
            fault("iss", ClaimFault::Not("a string")),
        ),
        (json!({"cnf": {"x5t#S256": "x"}}), &plain, R::SenderConstrained),
        (json!({"cnf": false}), &plain, R::SenderConstrained),
        (json!({"exp": NOW}), &plain, expired(0.0)),
        (json!({"exp": NOW - 10.0}), &plain, expired(10.0)),
        (
            json!({"exp": "never"}),
            &plain,
            fault("exp", ClaimFault::Not("a number")),
        ),
        (
            json!({"exp": NOW * 1000.0}),
            &plain,
            fault("exp", ClaimFault::OutOfRange),
        ),
        (json!({"nbf": NOW + 31.0}), &plain, early("nbf")),
        (json!({"iat": NOW + 31.0}), &plain, early("iat")),
        (
            json!({"iat": "now"}),
            &plain,
            fault("iat", ClaimFault::Not("a number")),
        ),
        (
            json!({"token_type": "DPoP"}),
            &plain,
            R::TokenType(Quoted::new("DPoP")),
        ),
        (
            json!({"token_type": "refresh_token"}),
            &plain,
            R::TokenType(Quoted::new("refresh_token")),
        ),
        (
            json!({"token_type": 1}),
            &plain,
            fault("token_type", ClaimFault::Not("a string")),
        ),
        (json!({"sub": null}), &plain, fault("sub", ClaimFault::Missing)),
        (
            json!({"sub": null, "client_id": null}),
            &plain,
            fault("sub", ClaimFault::Missing),
        ),
        (
            json!({"sub": null, "client_id": null, "username": null}),
            &plain,
            fault("sub", ClaimFault::Missing),
        ),
        (json!({"sub": ""}), &plain, fault("sub", ClaimFault::Empty)),
        (
            json!({"sub": " u-1"}),
            &plain,
            fault("sub", ClaimFault::EdgeBlank),
        ),
        (
            json!({"sub": 1}),
            &plain,
            fault("sub", ClaimFault::Not("a string")),
        ),
        (
            json!({"sub": null, "username": null, "client_id": "a\nb"}),
            &plain,
            fault("client_id", ClaimFault::Control),
        ),
        (json!({"jti": ""}), &plain, fault("jti", ClaimFault::Empty)),
    ] {
        assert_eq!(judged(&changes, setting), Err(expected), "{changes}");
    }
}

#[test]
fn null_is_no_value() {
    for name in ["sub", "aud", "exp", "iat", "token_type"] {
        let mut answer = json!({"active": true, "sub": "u-1", "client_id": "portal", "aud": "ours"});
        answer[name] = Value::Null;
        let settings = settings("https://as.test/introspect", json!({}));
        let judged = registered(Claims(answer.as_object().unwrap()), &settings, SystemTime::now());
        let named = matches!(&judged, Err(TokenRefusal::Claim { name: n, .. }) if *n == name);
        assert!(named, "{name}: {judged:?}");
    }
}

#[test]
fn the_answers_that_are_kept_are_bounded() {
    let kept = KeptAnswers::new(Duration::from_secs(60));
    let later = Instant::now() + Duration::from_secs(60);
    let put_active = |token: &str, bytes: usize| {
        let claims = json!({"active": true, "x": "y".repeat(bytes)})
            .as_object()
            .unwrap()
            .clone();
        let outcome = Outcome::Active {
            claims,
            believed_until: later,
        };
        kept.put(Digest::of(token), outcome, later);
    };
    put_active("good", 0);
    for n in 0..3 * kept::MAX_OTHERS {
        let digest = Digest::of(&n.to_string());
        kept.put(digest, Outcome::Inactive, later);
        assert!(kept.get(&digest).is_some(), "{n}: who has waited must find it");
    }
    assert_eq!(kept.counts(), (1, kept::MAX_OTHERS));
    assert!(kept.get(&Digest::of("good")).is_some());
    for n in 0..1000 {
        let token = format!("large-{n}");
        put_active(&token, 60_000);
        assert!(kept.get(&Digest::of(&token)).is_some(), "{n}");
    }
    let (active, _) = kept.counts();
    assert!((200..300).contains(&active), "{active} of 60 kB each");
    // What was believed until now, and what was refused until now, is to be asked about again.
    let now = Instant::now();
    kept.put(Digest::of("good"), Outcome::Inactive, now);
    assert!(kept.get(&Digest::of("good")).is_none());
}

#[test]
fn settings_that_cannot_work_or_are_not_safe_are_said() {
    let check = |all: &[IntrospectionSettings], expected: &[&str]| {
        let problems: Vec<String> = validate(all)
            .into_iter()
            .map(|problem| match problem.at {
                Place::Setting(pointer) => pointer.strip_prefix("/introspection/").unwrap().to_owned(),
                place => panic!("{place:?}"),
            })
            .collect();
        assert_eq!(problems, expected, "{all:?}");
    };
    let good = settings("https://as.test/introspect", json!({}));
    assert_eq!(
        (good.cache_seconds, good.max_in_flight, good.timeout_seconds),
        (60, 32, 3)
    );
    for (changes, expected) in [
        (json!({}), &[][..]),
        (json!({"url": "http://127.0.0.1:8080/introspect"}), &[]),
        (json!({"name": ""}), &["0/name"]),
        (json!({"name": "Main"}), &["0/name"]),
        (json!({"name": "n".repeat(64)}), &["0/name"]),
        (json!({"url": "http://as.test/introspect"}), &["0/url"]),
        (json!({"url": "https://u:p@as.test/introspect"}), &["0/url"]),
        (json!({"client_id": ""}), &["0/client_id"]),
        (json!({"client_secret": ""}), &["0/client_secret"]),
        (json!({"issuer": ""}), &["0/issuer"]),
        (json!({"audiences": []}), &["0/audiences"]),
        (json!({"audiences": ["ours", ""]}), &["0/audiences"]),
        (json!({"credentials": []}), &["0/credentials"]),
        (json!({"credentials": ["bearer"]}), &[]),
        (json!({"claims": {"groups": "/realm/groups"}}), &[]),
        (
            json!({"claims": {"groups": "/realm//groups"}}),
            &["0/claims/groups"],
        ),
        (json!({"token_prefix": "pat-"}), &[]),
        (json!({"token_prefix": ""}), &["0/token_prefix"]),
        (json!({"token_prefix": "a b"}), &["0/token_prefix"]),
        (json!({"cache_seconds": 0}), &["0/cache_seconds"]),
        (json!({"cache_seconds": 3600}), &[]),
        (json!({"cache_seconds": 3601}), &["0/cache_seconds"]),
        (json!({"max_in_flight": 0}), &["0/max_in_flight"]),
        (json!({"max_in_flight": 1024}), &[]),
        (json!({"max_in_flight": 1025}), &["0/max_in_flight"]),
        (json!({"timeout_seconds": 0}), &["0/timeout_seconds"]),
        (json!({"timeout_seconds": 31}), &["0/timeout_seconds"]),
        (json!({"name": "?", "client_id": ""}), &["0/name", "0/client_id"]),
    ] {
        check(&[settings("https://as.test/introspect", changes)], expected);
    }
    let named = |name: &str, prefix: Value| {
        settings(
            "https://as.test/introspect",
            json!({"name": name, "token_prefix": prefix}),
        )
    };
    check(&[named("a", json!("a-")), named("b", json!("b-"))], &[]);
    check(&[named("a", json!("a-")), named("a", json!("b-"))], &["1/name"]);
    check(
        &[named("a", json!("a-")), named("b", json!("a-b-"))],
        &["1/token_prefix"],
    );
    check(
        &[named("a", json!("a-b-")), named("b", json!("a-"))],
        &["1/token_prefix"],
    );
    check(
        &[named("a", json!("a-")), named("b", Value::Null)],
        &["1/token_prefix"],
    );
    let unknown = json!({"name": "a", "url": "x", "client_id": "c", "client_secret": "s", "audiences": [], "leeway": 1});
    assert!(serde_json::from_value::<IntrospectionSettings>(unknown).is_err());
}
