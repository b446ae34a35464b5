//! Cases 18 to 21 and 23: what the answer says.

use portcullis::config;
use portcullis::demo::{people, stage};

use super::{allowed, ask, bearer, code, denied, house, house_with, http, metadata, pairs, record};

#[test]
fn case_18_a_status_that_proxies_do_not_know_is_refused_at_load() {
    for status in [418, 425, 451, 200, 302, 500, 503, 99] {
        let text = stage::DEFAULT_CONFIG.replace(
            "    resource: { type: PublicPage }",
            &format!("    resource: {{ type: PublicPage }}\n    on_deny: {{ status: {status} }}"),
        );
        assert_ne!(text, stage::DEFAULT_CONFIG);
        let refused = config::load_with_sources("test.yaml", &text, stage::default_sources());
        let problems = refused.expect_err("must not load").to_string();
        assert!(
            problems.contains(&format!("{status} is no status that a denial can have")),
            "{problems}"
        );

        let mut sources = stage::default_sources();
        sources.policies[0].text += &format!(
            "@id(\"teapot\") @status(\"{status}\") forbid (principal is User, action, resource is PublicPage);"
        );
        let refused = config::load_with_sources("test.yaml", stage::DEFAULT_CONFIG, sources);
        let problems = refused.expect_err("must not load").to_string();
        assert!(
            problems.contains(&format!("@status(\"{status}\") is no status")),
            "{problems}"
        );
    }
}

#[tokio::test]
async fn case_19_several_cookies_survive_a_denial() {
    let house = house().await;
    let answer = ask(&house, http("GET", "/cookies", &[])).await;
    let denied = denied(&answer, 7, 403);
    let cookies: Vec<_> = pairs(&denied.headers)
        .into_iter()
        .filter(|(name, _)| *name == "set-cookie")
        .collect();
    assert_eq!(cookies, [("set-cookie", "a=1"), ("set-cookie", "b=2")]);
    for option in &denied.headers {
        // Released versions of Envoy drop what has `append: true` here.
        assert_ne!(option.append, Some(true), "{option:?}");
    }
}

#[tokio::test]
async fn case_20_a_grpc_client_gets_one_line_and_a_status_that_maps() {
    let house = house().await;
    let token = bearer(&people::alice(&house.issuer).token);
    let grpc = ("content-type", "application/grpc");
    for (headers, code, status) in [
        (&[grpc][..], 16, 401),
        (&[grpc, ("authorization", &token)], 7, 403),
    ] {
        let answer = ask(&house, http("POST", "/workspaces/ws-bob", headers)).await;
        let denied = denied(&answer, code, status);
        assert!(
            !denied.body.is_empty() && !denied.body.contains(['\n', '\r']),
            "{:?}",
            denied.body
        );
        assert!(
            denied.body.is_ascii() && denied.body.len() < 100,
            "{:?}",
            denied.body
        );
    }
}

#[tokio::test]
async fn case_21_a_cors_preflight_passes_only_where_it_is_let() {
    let preflight = [
        ("origin", "https://portal.example.test"),
        ("access-control-request-method", "GET"),
    ];
    let off = house().await;
    assert_ne!(
        code(&ask(&off, http("OPTIONS", "/workspaces/ws-alice", &preflight)).await),
        0
    );
    let on = house_with("cors_preflight: allow\n").await;
    let answer = ask(&on, http("OPTIONS", "/workspaces/ws-alice", &preflight)).await;
    let ok = allowed(&answer);
    assert!(
        ok.headers_to_remove.iter().any(|name| name == "x-auth-subject"),
        "it is nobody's"
    );
    for (what, method, path, headers) in [
        ("no route", "OPTIONS", "/nowhere", &preflight[..]),
        ("no origin", "OPTIONS", "/workspaces/ws-alice", &preflight[1..]),
        (
            "no announced method",
            "OPTIONS",
            "/workspaces/ws-alice",
            &preflight[..1],
        ),
        ("no preflight", "GET", "/workspaces/ws-alice", &preflight[..]),
        (
            "a method without a route",
            "OPTIONS",
            "/workspaces/ws-alice",
            &[preflight[0], ("access-control-request-method", "TRACE")][..],
        ),
    ] {
        assert_ne!(code(&ask(&on, http(method, path, headers)).await), 0, "{what}");
    }
}

#[tokio::test]
async fn case_23_a_denial_names_its_decision_and_gives_nothing_away() {
    let house = house().await;
    let secret = people::expired(&house.issuer).token;
    let (_, signature) = secret.rsplit_once('.').expect("a signature");
    let headers = [
        ("authorization", bearer(&secret)),
        ("cookie", "session=s3cr3t-cookie".to_owned()),
    ];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = ask(
        &house,
        http("GET", "/workspaces/ws-alice?key=s3cr3t-query", &headers),
    )
    .await;
    let response = denied(&answer, 16, 401);
    assert_eq!(metadata(&answer, "reason"), "credential_refused");
    let id = metadata(&answer, "decision_id");
    assert_eq!(id.len(), 36);
    assert_eq!(
        super::value(&response.headers, "x-portcullis-decision-id"),
        Some(id.as_str())
    );
    assert!(!metadata(&answer, "version").is_empty());
    let (told, recorded) = (format!("{answer:?}"), record(&house, &answer).to_string());
    for hidden in [secret.as_str(), signature, "s3cr3t-cookie", "s3cr3t-query"] {
        assert!(!told.contains(hidden), "the answer has {hidden}");
        assert!(!recorded.contains(hidden), "the record has {hidden}");
    }
    // Why the token was refused is for the log alone.
    assert!(recorded.contains("expired"), "{recorded}");
    assert!(!told.contains("expired"), "{told}");
}

#[tokio::test]
async fn the_command_line_reads_what_the_door_writes() {
    let house = house().await;
    let token = bearer(&people::alice(&house.issuer).token);
    let answer = house
        .ask("GET", "/workspaces/ws-alice", &[("authorization", &token)])
        .await;
    assert!(answer.allowed && answer.status == 200, "{answer:?}");
    assert_eq!(
        (answer.reason.as_str(), answer.policies.as_slice()),
        ("permitted", &["workspace-read".to_owned()][..])
    );
    assert!(
        answer
            .headers
            .contains(&("x-auth-subject".to_owned(), people::ALICE.to_owned())),
        "{answer:?}"
    );
    assert!(
        answer.removed.contains(&"x_auth_subject".to_owned()),
        "{answer:?}"
    );
    let answer = house.ask("GET", "/admin", &[("authorization", &token)]).await;
    assert!(!answer.allowed && answer.status == 403, "{answer:?}");
    assert_eq!(
        (answer.reason.as_str(), answer.policies.as_slice()),
        ("forbidden", &["admin-never".to_owned()][..])
    );
    let record = house.record(&answer.decision_id);
    assert_eq!(record["version"], answer.version.as_str());
}
