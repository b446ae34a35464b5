use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use decide::policy::{SourceFile, Sources};
use decide::{Record, Recorder, Rules, Settings};
use tower_service::Service as _;

use super::permitted::is_here;
use super::*;
use crate::http_server::Connected;
use crate::recent::ExplainSettings;

#[test]
fn what_is_this_host() {
    for (peer, here) in [
        ("127.0.0.1:5000", true),
        ("127.8.9.1:5000", true),
        ("[::1]:5000", true),
        ("[::ffff:127.0.0.1]:5000", true),
        ("10.0.0.7:5000", false),
        ("192.168.1.2:9192", false),
        ("0.0.0.0:1", false),
        ("[::ffff:10.0.0.7]:5000", false),
        ("[fe80::1]:5000", false),
    ] {
        assert_eq!(is_here(peer.parse().expect("an address")), here, "{peer}");
    }
}

struct Nowhere;

impl Recorder for Nowhere {
    fn offer(&self, _record: &Record<'_, '_>) {}
}

/// Rules with policies about the house, and two tokens.
fn rules(house: &str) -> Arc<Rules> {
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let sources = Sources {
        schema: vec![file(
            "schema.cedarschema",
            include_str!("../../../../policies/default/schema.cedarschema"),
        )],
        policies: vec![file("a.cedar", "permit(principal, action, resource);")],
        authority: vec![file("admin.cedar", house)],
        ..Sources::default()
    };
    let settings = r#"{ "static_tokens": { "tokens": [
        { "subject": "ops", "token": "token-of-operators" }, { "subject": "ci", "token": "token-of-builders" } ] } }"#;
    let settings = serde_json::from_str::<Settings>(settings).expect("settings");
    let (rules, _) = Rules::compile(&settings, &sources).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Arc::new(rules)
}

const OPERATORS: &str = "permit(principal == Robot::\"static/ops\", action == Action::\"decisions.read\", resource)
    when { resource.kind == \"decision\" && resource has name && resource.name == \"7\" };
    permit(principal == Robot::\"static/ops\", action in [Action::\"shadow.read\", Action::\"rules.write\"], resource);";

#[tokio::test]
async fn probes_are_for_everybody_and_the_rest_for_this_host_and_whom_policies_permit_it() {
    let handle = tokio::runtime::Handle::current();
    let pipeline = Pipeline::start(rules(OPERATORS), Box::new(Nowhere), &handle).expect("it starts");
    let (_told, stop) = watch::channel(Stop::No);
    let readiness = Readiness {
        pipeline: Arc::new(pipeline),
        authority: None,
        reload: None,
        tls: Tls::default(),
        stop,
    };
    let router = router(
        &readiness,
        Recent::new(&ExplainSettings::default()),
        Metrics::none(),
    );
    let (ops, ci) = (Some("token-of-operators"), Some("token-of-builders"));
    let wrong = Some("token-of-nobody");
    // From here, from elsewhere without encryption, and with it: by operators, by builders, with a bad token, without one.
    for (method, path, statuses) in [
        ("GET", "/livez", [200; 6]),
        ("GET", "/readyz", [200; 6]),
        ("GET", "/metrics", [200; 6]),
        // There is no such decision, no candidate, no file.
        ("GET", "/decisions/7", [404, 403, 404, 403, 401, 401]),
        ("GET", "/decisions/8", [404, 403, 403, 403, 401, 401]),
        ("GET", "/shadow", [404, 403, 404, 403, 401, 401]),
        ("POST", "/reload", [404, 403, 404, 403, 401, 401]),
    ] {
        for ((peer, encrypted, token), expected) in [
            ("127.0.0.1:5000", false, None),
            ("10.0.0.7:5000", false, ops),
            ("10.0.0.7:5000", true, ops),
            ("10.0.0.7:5000", true, ci),
            ("10.0.0.7:5000", true, wrong),
            ("10.0.0.7:5000", true, None),
        ]
        .into_iter()
        .zip(statuses)
        {
            let connected = Connected {
                peer: peer.parse().expect("an address"),
                encrypted,
            };
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "gate.test");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let request = request.body(Body::empty()).expect("a request");
            let answer = router.clone().layer(Extension(connected)).call(request).await;
            let status = answer.map(|answer| answer.status().as_u16());
            assert_eq!(
                status,
                Ok(expected),
                "{method} {path} from {connected:?} with {token:?}"
            );
        }
    }
}
