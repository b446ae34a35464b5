//! Values that are none: the schema, and what it cannot say.

use serde_json::{Value, json};

use super::super::deploy;
use super::rendered;

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
            "serviceMonitor: { enabled: true }",
            "serviceMonitor.enabled needs networkPolicy.monitoring, without which nobody reaches the admin port: say where Prometheus is",
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
