//! Values become what they say.

use serde_json::{Value, json};

use super::{DEFAULT, EVERYTHING, HIGH_AVAILABILITY, MINIMAL, Rendered, good};

const TLS: &str = "
config:
  listen:
    envoy_grpc_options: { tls: { certificate: /run/secrets/tls/tls.crt, key: /run/secrets/tls/tls.key } }
    http:
      - address: 0.0.0.0:9193
        doors: [{ contract: nginx, path: /nginx }]
        tls: { certificate: /run/secrets/tls/tls.crt, key: /run/secrets/tls/tls.key }
  admin_options:
    tls: { certificate: /run/secrets/tls/tls.crt, key: /run/secrets/tls/tls.key }
    policies: [admin.cedar]
  authority: { listen: 0.0.0.0:9195, policies: [house.cedar] }
policies: { admin.cedar: '', house.cedar: '', workspaces.cedar: '' }
secrets: [{ name: tls }]
networkPolicy: { monitoring: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: monitoring } } }] }
serviceMonitor: { enabled: true, tlsConfig: { serverName: portcullis } }
";

#[test]
fn values_become_what_they_say() {
    let Some(all) = good(&[DEFAULT, MINIMAL, HIGH_AVAILABILITY, EVERYTHING]) else {
        return;
    };
    let kinds = |one: &Rendered| one.resources.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        kinds(&all[0]),
        [
            "ConfigMap portcullis",
            "Deployment portcullis",
            "NetworkPolicy portcullis",
            "PodDisruptionBudget portcullis",
            "Service portcullis",
            "Service portcullis-headless",
            "ServiceAccount portcullis",
        ]
    );
    assert_eq!(
        kinds(&all[1]),
        [
            "ConfigMap portcullis",
            "Deployment portcullis",
            "Service portcullis"
        ]
    );
    let (autoscaler, deployment, policy) = (
        "HorizontalPodAutoscaler portcullis",
        "Deployment portcullis",
        "NetworkPolicy portcullis",
    );
    let pod = "/spec/template/spec";
    let container = "/spec/template/spec/containers/0";
    for (case, name, pointer, expected) in [
        (0, deployment, "/spec/replicas".to_owned(), json!(2)),
        (
            0,
            deployment,
            format!("{container}/image"),
            json!("portcullis:0.1.0"),
        ),
        // Whoever is not in this namespace cannot ask, and nobody but the kubelet reaches the admin port.
        (
            0,
            policy,
            "/spec/ingress".to_owned(),
            json!([{ "from": [{ "podSelector": {} }], "ports": [{ "port": "grpc" }] }]),
        ),
        (
            0,
            policy,
            "/spec/policyTypes".to_owned(),
            json!(["Ingress", "Egress"]),
        ),
        (
            0,
            "Service portcullis",
            "/spec/ports/0/appProtocol".to_owned(),
            json!("kubernetes.io/h2c"),
        ),
        (
            0,
            "Service portcullis-headless",
            "/spec/clusterIP".to_owned(),
            json!("None"),
        ),
        (
            1,
            deployment,
            format!("{pod}/serviceAccountName"),
            json!("default"),
        ),
        (
            1,
            deployment,
            format!("{pod}/terminationGracePeriodSeconds"),
            json!(6),
        ),
        (2, deployment, "/spec/replicas".to_owned(), Value::Null),
        (
            2,
            deployment,
            format!("{pod}/terminationGracePeriodSeconds"),
            json!(50),
        ),
        (
            2,
            deployment,
            format!("{pod}/topologySpreadConstraints/0/whenUnsatisfiable"),
            json!("DoNotSchedule"),
        ),
        (2, autoscaler, "/spec/minReplicas".to_owned(), json!(3)),
        (
            2,
            "PodDisruptionBudget portcullis",
            "/spec/maxUnavailable".to_owned(),
            json!("34%"),
        ),
        (
            3,
            "Deployment gate",
            format!("{container}/image"),
            json!(
                "registry.example.org:5000/gate/portcullis@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            ),
        ),
        (
            3,
            "Deployment gate",
            format!("{pod}/securityContext/runAsUser"),
            Value::Null,
        ),
        (
            3,
            "Deployment gate",
            format!("{pod}/securityContext/runAsNonRoot"),
            json!(true),
        ),
        (
            3,
            "Deployment gate",
            format!("{pod}/volumes/1/secret"),
            json!({ "secretName": "portcullis.keys", "defaultMode": 0o440 }),
        ),
        (
            3,
            "Deployment gate",
            format!("{container}/volumeMounts/1/mountPath"),
            json!("/run/secrets/portcullis.keys"),
        ),
        (
            3,
            "Deployment gate",
            format!("{container}/ports"),
            json!([
                { "name": "grpc", "containerPort": 9191 },
                { "name": "http", "containerPort": 9193 },
                { "name": "http-1", "containerPort": 9194 },
                { "name": "admin", "containerPort": 9192 },
            ]),
        ),
        (
            3,
            "NetworkPolicy gate",
            "/spec/policyTypes".to_owned(),
            json!(["Ingress"]),
        ),
        (
            3,
            "NetworkPolicy gate",
            "/spec/ingress/1/ports".to_owned(),
            json!([{ "port": "admin" }]),
        ),
        (
            3,
            "ServiceAccount gate",
            "/automountServiceAccountToken".to_owned(),
            json!(false),
        ),
        (
            3,
            "Service gate-admin",
            "/spec/ports/0/port".to_owned(),
            json!(9192),
        ),
        (
            3,
            "ServiceMonitor gate",
            "/spec/endpoints/0".to_owned(),
            json!({ "port": "admin", "path": "/metrics", "interval": "15s", "scheme": "http" }),
        ),
        (
            3,
            "ServiceMonitor gate",
            "/metadata/labels/release".to_owned(),
            json!("prometheus"),
        ),
    ] {
        assert_eq!(all[case].get(name, &pointer), &expected, "{name} {pointer}");
    }
    // The monitor finds that Service, and no other.
    let wanted = all[3]
        .get("ServiceMonitor gate", "/spec/selector/matchLabels")
        .as_object()
        .expect("labels");
    let found = all[3].resources.iter().filter(|(name, resource)| {
        let labels = &resource["metadata"]["labels"];
        name.starts_with("Service ") && wanted.iter().all(|(label, value)| &labels[label] == value)
    });
    assert_eq!(
        found.map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["Service gate-admin"]
    );
    assert!(all[0].notes.contains("EVERYTHING IS DENIED"), "{}", all[0].notes);
    assert!(!all[3].notes.contains("EVERYTHING IS DENIED"), "{}", all[3].notes);
}

#[test]
fn tls_is_known_to_probes_services_and_monitors() {
    let Some(all) = good(&[TLS]) else { return };
    let (deployment, service) = ("Deployment portcullis", "Service portcullis");
    for (name, pointer, expected) in [
        (
            deployment,
            "/spec/template/spec/containers/0/startupProbe/httpGet/scheme",
            json!("HTTPS"),
        ),
        (
            deployment,
            "/spec/template/spec/containers/0/livenessProbe/httpGet/scheme",
            json!("HTTPS"),
        ),
        (
            deployment,
            "/spec/template/spec/containers/0/readinessProbe/httpGet/scheme",
            json!("HTTPS"),
        ),
        (service, "/spec/ports/0/appProtocol", json!("https")),
        (service, "/spec/ports/1/appProtocol", json!("https")),
        (service, "/spec/ports/2/appProtocol", json!("http")),
        (service, "/spec/ports/2/name", json!("authority")),
        (service, "/spec/ports/2/port", json!(9195)),
        (
            "ServiceMonitor portcullis",
            "/spec/endpoints/0/scheme",
            json!("https"),
        ),
        (
            "ServiceMonitor portcullis",
            "/spec/endpoints/0/tlsConfig/serverName",
            json!("portcullis"),
        ),
    ] {
        assert_eq!(all[0].get(name, pointer), &expected, "{name} {pointer}");
    }
    let config = all[0]
        .get("ConfigMap portcullis", "/data/portcullis.yaml")
        .as_str()
        .expect("a text");
    let config: Value = serde_saphyr::from_str(config).expect("YAML");
    assert_eq!(
        config["policies"]["files"],
        json!(["workspaces.cedar"]),
        "policies about the house are not about requests"
    );
}
