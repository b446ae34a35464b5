//! The Helm chart.

use std::collections::BTreeMap;

use portcullis::demo::tools::PythonTool;
use serde_json::{Value, json};

use super::{deploy, documents, installed, loaded, named, python, taken_by_kubernetes};

const HELM: PythonTool = PythonTool {
    package: "helm-python-sdk",
    version: "0.2.2",
    megabytes: 75,
};
const MINIMAL: &str = include_str!("values/minimal.yaml");
const EVERYTHING: &str = include_str!("values/everything.yaml");
const HIGH_AVAILABILITY: &str = include_str!("values/high-availability.yaml");
const DEFAULT: &str = "{}";
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
serviceMonitor: { enabled: true, tlsConfig: { serverName: portcullis } }
";

/// What Helm says to some values.
pub(super) struct Rendered {
    lint: Vec<String>,
    pub(super) refused: Option<String>,
    notes: String,
    pub(super) resources: BTreeMap<String, Value>,
}

impl Rendered {
    fn get(&self, name: &str, pointer: &str) -> &Value {
        let resource = self.resources.get(name);
        let resource = resource.unwrap_or_else(|| panic!("no {name} in {:?}", self.resources.keys()));
        resource.pointer(pointer).unwrap_or(&Value::Null)
    }
}

/// Each of these values rendered. `None`, and said so, where Helm cannot be had.
pub(super) fn rendered(cases: &[&str]) -> Option<Vec<Rendered>> {
    let bin = installed(&HELM)?;
    let task = json!({ "chart": deploy().join("helm/portcullis"), "cases": cases });
    let answers = python(&bin, include_str!("render.py"), &task);
    let rendered = answers.as_array().expect("a list").iter().map(|answer| {
        let files = answer["files"].as_object().expect("files");
        let (notes, manifests): (Vec<_>, Vec<_>) =
            files.iter().partition(|(name, _)| name.ends_with("NOTES.txt"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resources: Vec<Value> = manifests
            .iter()
            .flat_map(|(_, text)| documents(text.as_str().expect("a text")))
            .collect();
        let lint = answer["lint"].as_array().expect("a list").iter();
        Rendered {
            lint: lint
                .filter(|found| found[0].as_u64() >= Some(2))
                .map(|found| text(&found[1]))
                .collect(),
            refused: answer["refused"].as_str().map(str::to_owned),
            notes: notes.first().map(|(_, notes)| text(notes)).unwrap_or_default(),
            resources: named(&resources),
        }
    });
    Some(rendered.collect())
}

/// The same, none of which may be refused.
fn good(cases: &[&str]) -> Option<Vec<Rendered>> {
    let all = rendered(cases)?;
    for (one, values) in all.iter().zip(cases) {
        assert_eq!(one.refused, None, "{values}");
    }
    Some(all)
}

#[test]
fn what_the_chart_makes_is_taken_by_helm_kubernetes_and_portcullis() {
    let cases = [
        (DEFAULT, "portcullis", 0, 0),
        (MINIMAL, "portcullis", 0, 0),
        (HIGH_AVAILABILITY, "portcullis", 0, 0),
        (EVERYTHING, "gate", 1, 2),
    ];
    let Some(all) = good(&cases.map(|(values, ..)| values)) else {
        return;
    };
    for (one, (values, name, routes, policies)) in all.iter().zip(cases) {
        assert_eq!(one.lint, <[String; 0]>::default(), "{values}");
        let resources: Vec<Value> = one.resources.values().cloned().collect();
        taken_by_kubernetes(&resources);
        let found = loaded(&one.resources[&format!("ConfigMap {name}")]);
        assert_eq!(found.rules.routes().routes().len(), routes, "{values}");
        assert_eq!(found.rules.policies().count(), policies, "{values}");
    }
}

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
fn every_pod_is_confined_and_has_time_to_end() {
    let Some(all) = good(&[DEFAULT, MINIMAL, HIGH_AVAILABILITY, EVERYTHING]) else {
        return;
    };
    for one in &all {
        let (_, deployment) = one
            .resources
            .iter()
            .find(|(name, _)| name.starts_with("Deployment "))
            .expect("one");
        let (_, config) = one
            .resources
            .iter()
            .find(|(name, _)| name.starts_with("ConfigMap "))
            .expect("one");
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        for (pointer, expected) in [
            ("/securityContext/runAsNonRoot", json!(true)),
            ("/securityContext/seccompProfile/type", json!("RuntimeDefault")),
            ("/automountServiceAccountToken", json!(false)),
            (
                "/containers/0/securityContext/allowPrivilegeEscalation",
                json!(false),
            ),
            (
                "/containers/0/securityContext/readOnlyRootFilesystem",
                json!(true),
            ),
            ("/containers/0/securityContext/capabilities/drop", json!(["ALL"])),
            ("/containers/0/startupProbe/httpGet/path", json!("/livez")),
            ("/containers/0/livenessProbe/httpGet/path", json!("/livez")),
            ("/containers/0/readinessProbe/httpGet/path", json!("/readyz")),
            ("/containers/0/readinessProbe/httpGet/port", json!("admin")),
            ("/hostNetwork", Value::Null),
        ] {
            assert_eq!(
                pod.pointer(pointer).unwrap_or(&Value::Null),
                &expected,
                "{pointer}"
            );
        }
        let found = loaded(config).config;
        let ends = pod["terminationGracePeriodSeconds"].as_u64().expect("a number");
        assert!(ends > found.grace_seconds + found.drain_seconds, "{ends}");
        // A port of the pod is one that somebody listens at.
        let mut listened = vec![found.listen.envoy_grpc.port(), found.admin.port()];
        listened.extend(found.listen.http.iter().map(|listener| listener.address.port()));
        let mut open: Vec<u16> = container["ports"]
            .as_array()
            .expect("ports")
            .iter()
            .filter_map(|port| port["containerPort"].as_u64()?.try_into().ok())
            .collect();
        listened.sort_unstable();
        open.sort_unstable();
        assert_eq!(open, listened);
        // Messages of all listeners together leave room for the rest.
        let listeners = 1 + found.listen.http.len();
        let memory = container["resources"]["limits"]["memory"]
            .as_str()
            .expect("a limit");
        let memory = memory
            .strip_suffix("Mi")
            .map(|number| number.parse::<usize>().expect("a number"));
        let memory = memory.unwrap_or(1024) * 1024 * 1024;
        assert!(
            listeners * found.limits.max_bytes_in_flight <= memory / 2,
            "{memory}"
        );
    }
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

#[test]
fn only_what_is_read_at_the_start_makes_new_pods() {
    let cases = [
        (DEFAULT, true),
        (
            "policies: { more.cedar: 'permit (principal, action, resource);' }",
            true,
        ),
        (
            "config: { routes: [{ path: /x, methods: [GET], resource: { type: Page } }] }",
            true,
        ),
        (
            "config: { issuers: [{ name: main }], actions: { read: [GET] }, identity_headers: { x-a: name } }",
            true,
        ),
        ("config: { threads: 3 }", false),
        ("config: { limits: { max_connections: 7 } }", false),
        ("config: { decision_log: stderr }", false),
        ("config: { something_new: 1 }", false),
    ];
    let Some(all) = good(&cases.map(|(values, _)| values)) else {
        return;
    };
    let template = |one: &Rendered| one.get("Deployment portcullis", "/spec/template").clone();
    for (one, (values, same)) in all.iter().zip(cases) {
        assert_eq!(template(one) == template(&all[0]), same, "{values}");
    }
}

#[test]
fn wrong_values_are_refused_by_name() {
    let cases = [
        ("replica: 3", "additional properties 'replica' not allowed"),
        ("replicas: three", "at '/replicas': got string, want integer"),
        (
            "image: { digest: latest }",
            "at '/image/digest': 'latest' does not match pattern",
        ),
        ("image: { repository: '' }", "at '/image/repository': minLength"),
        ("runAs: { user: 0 }", "at '/runAs/user': minimum: got 0, want 1"),
        (
            "podSecurityContext: {}",
            "additional properties 'podSecurityContext' not allowed",
        ),
        ("env: [{ name: A }]", "at '/env/0': missing property 'value'"),
        ("env: { A: b }", "at '/env': got object, want array"),
        ("secrets: [keys]", "at '/secrets/0': got string, want object"),
        ("policies: { a/b.cedar: '' }", "invalid propertyName 'a/b.cedar'"),
        (
            "policies: { portcullis.yaml: '' }",
            "would take the place of the configuration: write `config`",
        ),
        (
            "config: { admin: null }",
            "at '/config': missing property 'admin'",
        ),
        (
            "config: { admin: '127.0.0.1:9192' }",
            "config.admin is \"127.0.0.1:9192\", which nobody outside the pod reaches: write 0.0.0.0:9192",
        ),
        (
            "config: { listen: { envoy_grpc: '9191' } }",
            "config.listen.envoy_grpc is \"9191\": write an address with its port",
        ),
        (
            "config: { listen: { http: [{ address: '[::1]:80', doors: [{}] }] } }",
            "config.listen.http[0].address is \"[::1]:80\", which nobody outside",
        ),
        (
            "config: { grace_seconds: -1 }",
            "at '/config/grace_seconds': minimum",
        ),
        (
            "networkPolicy: { proxies: 10.0.0.0/8 }",
            "at '/networkPolicy/proxies': got string, want array",
        ),
        (
            "podDisruptionBudget: { maxUnavailable: 0 }",
            "at '/podDisruptionBudget/maxUnavailable'",
        ),
        (
            "podDisruptionBudget: { maxUnavailable: 100% }",
            "at '/podDisruptionBudget/maxUnavailable'",
        ),
        (
            "topologySpread: [{ maxSkew: 1, topologyKey: zone, whenUnsatisfiable: Never }]",
            "at '/topologySpread/0/whenUnsatisfiable'",
        ),
        (
            "autoscaling: { targetCPU: 500 }",
            "at '/autoscaling/targetCPU': maximum: got 500, want 100",
        ),
        (
            "serviceMonitor: { interval: often }",
            "at '/serviceMonitor/interval': 'often' does not match pattern",
        ),
        (
            "serviceAccount: { automount: true }",
            "additional properties 'automount' not allowed",
        ),
    ];
    let Some(all) = rendered(&cases.map(|(values, _)| values)) else {
        return;
    };
    for (one, (values, message)) in all.iter().zip(cases) {
        let refused = one.refused.as_deref().unwrap_or("not refused");
        assert!(refused.contains(message), "{values}: {refused}");
    }
}

#[test]
fn every_value_is_documented_and_in_the_schema() {
    let chart = deploy().join("helm/portcullis");
    let read = |name| std::fs::read_to_string(chart.join(name)).expect("a file");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    let text = read("values.yaml");
    let values: Value = serde_saphyr::from_str(&text).expect("YAML");
    for (name, value) in values.as_object().expect("values") {
        let described = &schema["properties"][name];
        assert!(described.is_object(), "{name} is not in the schema");
        assert!(text.contains(&format!("\n{name}:")), "{name}");
        let strict = described["additionalProperties"] == json!(false);
        for inner in value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(inner, _)| inner)
            .filter(|_| strict)
        {
            assert!(
                described["properties"][inner].is_object(),
                "{name}.{inner} is not in the schema"
            );
        }
    }
    for name in schema["properties"].as_object().expect("properties").keys() {
        assert!(
            name == "global" || values.get(name).is_some(),
            "{name} has no default"
        );
    }
}
