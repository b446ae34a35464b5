//! The Helm chart.

mod refused;
mod values;

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
