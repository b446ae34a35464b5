//! What the proxy's configuration adds to a request reaches policies; what a client adds under the same name does not.

use bytes::Bytes;
use portcullis::demo::envoy::EnvoyOptions;
use serde_json::{Value, json};

use super::HEADER_FORMS;
use crate::house::TestHouse;

const GOLD: &str = r#"
    @id("gold")
    permit (principal, action in Action::"read", resource is Catalogue)
    when { context.extensions has tier && context.extensions.tier == "gold" };
"#;

const ACME: &str = r#"
    @id("acme")
    permit (principal, action in Action::"read", resource is Catalogue)
    when { context.metadata has tenant && context.metadata.tenant == "acme" };
"#;

/// What a client could try.
const CLAIMS: [(&str, &str); 5] = [
    ("tier", "gold"),
    ("x-tier", "gold"),
    ("tenant", "acme"),
    ("platform", r#"{"tenant":{"name":"acme"}}"#),
    ("x-envoy-metadata", "acme"),
];

#[tokio::test]
async fn context_extensions_select_a_policy_and_headers_do_not() {
    let house = TestHouse::with(
        |text| text + "\nexpose: { extensions: [tier] }\n",
        &[("gold.cedar", GOLD)],
    )
    .await;
    for headers in HEADER_FORMS {
        for (extensions, status) in [
            (&[("tier", "gold")][..], 200),
            (&[("tier", "gold"), ("tier2", "silver")], 200),
            (&[("tier", "silver")], 401),
            (&[("tier", "GOLD")], 401),
            (&[("Tier", "gold")], 401),
            (&[], 401),
        ] {
            let pairs = extensions
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let context_extensions = pairs.collect();
            let front = house
                .envoy(|options| EnvoyOptions {
                    headers,
                    context_extensions,
                    ..options
                })
                .await;
            let Some(front) = front else { return };
            for claims in [&[][..], &CLAIMS] {
                let got = front
                    .send("GET", "/catalogue/x?tier=gold", claims, Bytes::new())
                    .await;
                let row = format!("{extensions:?} {claims:?} {headers:?}");
                assert_eq!((got.status, got.seen.is_some()), (status, status == 200), "{row}");
            }
        }
    }
}

#[tokio::test]
async fn metadata_of_the_proxy_reaches_a_policy() {
    let expose = "\nexpose: { metadata: { tenant: { namespace: platform, path: [tenant, name] } } }\n";
    let house = TestHouse::with(|text| text + expose, &[("acme.cedar", ACME)]).await;
    let rows: [(&str, Value, u16); 6] = [
        (
            "platform",
            json!({"tenant": {"name": "acme", "plan": 3}, "other": [1]}),
            200,
        ),
        ("platform", json!({"tenant": {"name": "apex"}}), 401),
        ("platform", json!({"tenant": {"name": ["acme"]}}), 401),
        ("platform", json!({"tenant": "acme"}), 401),
        ("platform", json!({"name": "acme"}), 401),
        ("elsewhere", json!({"tenant": {"name": "acme"}}), 401),
    ];
    for (namespace, value, status) in rows {
        let metadata = [(namespace.to_owned(), value.clone())].into();
        let front = house.envoy(|options| EnvoyOptions { metadata, ..options }).await;
        let Some(front) = front else { return };
        for claims in [&[][..], &CLAIMS] {
            let got = front.send("GET", "/catalogue/x", claims, Bytes::new()).await;
            let row = format!("{namespace} {value} {claims:?}");
            assert_eq!((got.status, got.seen.is_some()), (status, status == 200), "{row}");
        }
    }
}
