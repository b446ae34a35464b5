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

fn rules() -> Arc<Rules> {
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
        ..Sources::default()
    };
    let settings = serde_json::from_str::<Settings>("{}").expect("all have defaults");
    let (rules, _) = Rules::compile(&settings, &sources).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Arc::new(rules)
}

#[tokio::test]
async fn probes_are_for_everybody_and_what_was_asked_only_for_this_host() {
    let handle = tokio::runtime::Handle::current();
    let pipeline = Pipeline::start(rules(), Box::new(Nowhere), &handle).expect("it starts");
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
    for (method, path, here, elsewhere) in [
        ("GET", "/livez", 200, 200),
        ("GET", "/readyz", 200, 200),
        ("GET", "/metrics", 200, 200),
        // There is no such decision, no candidate, no file.
        ("GET", "/decisions/7", 404, 403),
        ("GET", "/shadow", 404, 403),
        ("POST", "/reload", 404, 403),
    ] {
        for (peer, expected) in [("127.0.0.1:5000", here), ("10.0.0.7:5000", elsewhere)] {
            let peer = Connected {
                peer: peer.parse().expect("an address"),
                encrypted: false,
            };
            let request = Request::builder()
                .method(method)
                .uri(path)
                .body(Body::empty())
                .expect("a request");
            let answer = router.clone().layer(Extension(peer)).call(request).await;
            let status = answer.map(|answer| answer.status().as_u16());
            assert_eq!(status, Ok(expected), "{method} {path} from {peer:?}");
        }
    }
}
