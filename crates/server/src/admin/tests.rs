use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use decide::policy::{SourceFile, Sources};
use decide::{Record, Recorder, Rules, Settings};
use tower_service::Service as _;

use super::*;
use crate::http_server::Connected;
use crate::recent::ExplainSettings;

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
    let (host, loopback, pod) = ("127.0.0.1:9192", "127.0.0.1:9192", "10.0.0.1:9192");
    // From here; from elsewhere without encryption, also by way of a sidecar; and with it: by operators, by builders, with a bad
    // token, without one; from here for a page in a browser that leads to another name, or says where it is from.
    for (method, path, statuses) in [
        ("GET", "/livez", [200; 9]),
        ("GET", "/readyz", [200; 9]),
        ("GET", "/metrics", [200; 9]),
        // There is no such decision, no candidate, no file.
        (
            "GET",
            "/decisions/7",
            [404, 403, 403, 404, 403, 401, 401, 403, 403],
        ),
        (
            "GET",
            "/decisions/8",
            [404, 403, 403, 403, 403, 401, 401, 403, 403],
        ),
        ("GET", "/shadow", [404, 403, 403, 404, 403, 401, 401, 403, 403]),
        ("POST", "/reload", [404, 403, 403, 404, 403, 401, 401, 403, 403]),
    ] {
        for (((peer, local), encrypted, token, (host, origin)), expected) in [
            (("127.0.0.1:5000", loopback), false, None, (host, None)),
            (("127.0.0.6:5000", pod), false, None, (host, None)),
            (("10.0.0.7:5000", pod), false, ops, ("gate.test", None)),
            (("10.0.0.7:5000", pod), true, ops, ("gate.test", None)),
            (("10.0.0.7:5000", pod), true, ci, ("gate.test", None)),
            (("10.0.0.7:5000", pod), true, wrong, ("gate.test", None)),
            (("10.0.0.7:5000", pod), true, None, ("gate.test", None)),
            (
                ("127.0.0.1:5000", loopback),
                false,
                None,
                ("gate.test:9192", None),
            ),
            (
                ("127.0.0.1:5000", loopback),
                false,
                None,
                (host, Some("http://gate.test")),
            ),
        ]
        .into_iter()
        .zip(statuses)
        {
            let connected = Connected {
                peer: peer.parse().expect("an address"),
                local: local.parse().expect("an address"),
                encrypted,
            };
            let mut request = Request::builder().method(method).uri(path).header("host", host);
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let request = request.body(Body::empty()).expect("a request");
            let answer = router.clone().layer(Extension(connected)).call(request).await;
            let status = answer.map(|answer| answer.status().as_u16());
            assert_eq!(
                status,
                Ok(expected),
                "{method} {path} from {connected:?} as {host} with {token:?}, {origin:?}"
            );
        }
    }
}
