//! The manifests of proxies that need a cluster: YAML, and as safe as their pages say.

use serde_json::{Value, json};

/// The documents of a file.
fn documents(text: &str) -> Vec<Value> {
    let parse = |document: &str| serde_saphyr::from_str(document).expect("YAML");
    text.split("\n---\n").map(parse).collect()
}

#[test]
fn what_cannot_be_run_here_says_what_keeps_it_safe() {
    for (name, text, settings) in [
        (
            "envoy-gateway/policy.yaml",
            include_str!("../../../deploy/envoy-gateway/policy.yaml"),
            &[
                ("/0/spec/extAuth/failOpen", json!(false)),
                ("/0/spec/extAuth/timeout", json!("1s")),
                ("/0/spec/extAuth/headersToExtAuth", Value::Null),
                ("/0/spec/extAuth/grpc/backendRefs/0/port", json!(9191)),
                ("/0/spec/targetRefs/0/kind", json!("Gateway")),
                ("/1/spec/from/0/kind", json!("SecurityPolicy")),
                ("/2/spec/path/escapedSlashesAction", json!("RejectRequest")),
                ("/2/spec/path/disableMergeSlashes", json!(true)),
                ("/2/spec/headers/withUnderscoresAction", json!("RejectRequest")),
            ][..],
        ),
        (
            "contour/httpproxy.yaml",
            include_str!("../../../deploy/contour/httpproxy.yaml"),
            &[
                ("/0/spec/protocol", json!("h2c")),
                ("/0/spec/services/0/port", json!(9191)),
                ("/1/spec/virtualhost/authorization/failOpen", json!(false)),
                ("/1/spec/virtualhost/authorization/responseTimeout", json!("1s")),
                (
                    "/1/spec/virtualhost/authorization/extensionRef/name",
                    json!("portcullis"),
                ),
                ("/1/spec/virtualhost/tls/secretName", json!("api-example-org")),
            ],
        ),
        (
            "contour/contour.yaml",
            include_str!("../../../deploy/contour/contour.yaml"),
            &[("/0/disableMergeSlashes", json!(true))],
        ),
        (
            "emissary/authservice.yaml",
            include_str!("../../../deploy/emissary/authservice.yaml"),
            &[
                ("/0/spec/failure_mode_allow", json!(false)),
                ("/0/spec/proto", json!("grpc")),
                ("/0/spec/protocol_version", json!("v3")),
                ("/0/spec/timeout_ms", json!(1000)),
                ("/0/spec/status_on_error/code", json!(403)),
                ("/1/spec/config/reject_requests_with_escaped_slashes", json!(true)),
                ("/1/spec/config/merge_slashes", json!(false)),
                (
                    "/1/spec/config/headers_with_underscores_action",
                    json!("REJECT_REQUEST"),
                ),
            ],
        ),
        (
            "istio/authorization-policy.yaml",
            include_str!("../../../deploy/istio/authorization-policy.yaml"),
            &[
                ("/0/spec/action", json!("CUSTOM")),
                ("/0/spec/rules", json!([{}])),
                ("/1/spec/mtls/mode", json!("STRICT")),
            ],
        ),
        (
            "istio/meshconfig.yaml",
            include_str!("../../../deploy/istio/meshconfig.yaml"),
            &[
                ("/0/extensionProviders/0/envoyExtAuthzGrpc/failOpen", json!(false)),
                ("/0/extensionProviders/1/envoyExtAuthzHttp/failOpen", json!(false)),
            ],
        ),
    ] {
        let documents = Value::Array(documents(text));
        for (pointer, expected) in settings {
            let found = documents.pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(found, expected, "{name} {pointer}");
        }
    }
}
