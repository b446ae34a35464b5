//! The folders of proxies: whatever can be said about all of them. Those that can be run are run elsewhere
//! (`envoy`, `nginx`, `traefik`, `caddy`, `haproxy`), with these very files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::config;
use portcullis::demo::stage;
use serde_json::{Value, json};

use super::{deploy, documents, taken_by_kubernetes};

/// What is no proxy.
const OTHERS: [&str; 3] = ["grafana", "helm", "kubernetes"];
/// What each page has to say, in a row of its own.
const TOPICS: [&str; 5] = ["Paths", "Headers", "No answer", "Time", "Routing"];

/// The folders, by name.
fn folders() -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = fs::read_dir(deploy())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| {
            (
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                path,
            )
        })
        .filter(|(name, _)| !OTHERS.contains(&name.as_str()))
        .collect();
    found.sort();
    assert!(found.len() >= 12, "{found:?}");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder with one of these endings, and their texts.
fn files(folder: &Path, endings: &[&str]) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let ours = entries.filter(|path| {
        endings
            .iter()
            .any(|ending| path.to_string_lossy().ends_with(ending))
    });
    ours.map(|path| (path.display().to_string(), read(&path)))
        .collect()
}

/// The texts between three backquotes with this word, and the next three.
fn blocks<'a>(page: &'a str, word: &str) -> Vec<&'a str> {
    let fence = format!("```{word}\n");
    let begun = page.split(fence.as_str()).skip(1);
    begun
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect()
}

#[test]
fn every_page_says_what_keeps_the_proxy_safe() {
    let list = read(&deploy().join("../docs/doors.md"));
    for (name, folder) in folders() {
        let page = read(&folder.join("README.md"));
        for topic in TOPICS {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| **{topic}** |")));
            let row = row.unwrap_or_else(|| panic!("{name}: the page says nothing about {topic}"));
            assert!(row.len() > 40, "{name}: {row}");
        }
        assert!(
            list.contains(&format!("../deploy/{name})")),
            "docs/doors.md does not name {name}"
        );
    }
}

#[test]
fn every_manifest_is_yaml_and_every_document_json() {
    for (name, folder) in folders() {
        for (file, text) in files(&folder, &[".yaml"]) {
            // APISIX wants this mark at the end of its standalone file.
            let found = documents(text.trim_end().trim_end_matches("#END"));
            assert!(!found.is_empty(), "{file} is empty");
            for document in found.iter().filter(|document| document.get("kind").is_some()) {
                assert!(document["apiVersion"].is_string(), "{file}: {document}");
                assert!(
                    document["metadata"]["name"].is_string() || document["kind"] == "Kustomization",
                    "{file}: {document}"
                );
            }
        }
        for (file, text) in files(&folder, &[".json"]) {
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{file}");
        }
        for block in blocks(&read(&folder.join("README.md")), "yaml") {
            assert!(!documents(block).is_empty(), "{name}: {block}");
        }
    }
}

#[test]
fn the_settings_of_portcullis_on_every_page_are_valid() {
    for (name, folder) in folders() {
        let page = read(&folder.join("README.md"));
        let settings: Vec<&str> = blocks(&page, "yaml")
            .into_iter()
            .filter(|block| block.starts_with("listen:"))
            .collect();
        if settings.is_empty() {
            // What it says of the defaults is the default configuration.
            assert!(
                page.contains("portcullis serve --config policies/default/portcullis.yaml"),
                "{name}: how does Portcullis listen?"
            );
        }
        for block in settings {
            let default = stage::DEFAULT_CONFIG;
            let begin = default.find("listen:\n").expect("where proxies ask");
            let rest = default[begin..].find("admin:").expect("what comes next") + begin;
            let text = format!("{}{block}\n{}", &default[..begin], &default[rest..]);
            let sources = stage::default_sources();
            if let Err(invalid) = config::load_with_sources(&name, &text, sources) {
                panic!("{invalid}");
            }
        }
    }
}

/// A header that only Portcullis may set, and that a proxy was not told of, is the client's.
#[test]
fn every_identity_header_is_named_to_every_proxy_that_has_to_copy_them() {
    // Over gRPC, and by names that begin with `x-auth-`.
    let without = ["contour", "emissary", "envoy", "envoy-gateway", "envoy-http"];
    let default: Value = serde_saphyr::from_str(stage::DEFAULT_CONFIG).expect("YAML");
    let headers = default["identity_headers"].as_object().expect("headers").keys();
    for (name, folder) in folders()
        .into_iter()
        .filter(|(name, _)| !without.contains(&name.as_str()))
    {
        let all: String = files(&folder, &[".yaml", ".json", ".conf", ".cfg", ".lua", "Caddyfile"])
            .into_iter()
            .map(|(_, text)| text.to_lowercase())
            .collect();
        for header in headers
            .clone()
            .map(String::as_str)
            .chain(["x-portcullis-decision-id"])
        {
            assert!(all.contains(header), "{name} does not name {header}");
        }
    }
}

#[test]
fn apisix_is_told_the_same_in_every_form() {
    let folder = deploy().join("apisix");
    let file = |name: &str| read(&folder.join(name));
    let standalone = documents(file("route.yaml").trim_end().trim_end_matches("#END"));
    let plugin = &standalone[0]["routes"][0]["plugins"]["forward-auth"];
    assert_eq!(plugin["allow_degradation"], json!(false));
    let admin: Value = serde_json::from_str(&file("plugin-config.json")).expect("JSON");
    assert_eq!(&admin["plugins"]["forward-auth"], plugin);
    let route: Value = serde_json::from_str(&file("route.json")).expect("JSON");
    assert_eq!(route["plugin_config_id"], json!("portcullis"));
    let cluster = documents(&file("kubernetes.yaml"));
    let kinds: BTreeSet<&str> = cluster
        .iter()
        .filter_map(|document| document["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["ApisixGlobalRule", "ApisixPluginConfig", "ApisixRoute"])
    );
    for document in cluster
        .iter()
        .filter(|document| document["kind"] != "ApisixRoute")
    {
        let entry = &document["spec"]["plugins"][0];
        assert_eq!(
            (&entry["name"], &entry["enable"]),
            (&json!("forward-auth"), &json!(true))
        );
        let mut config = entry["config"].clone();
        assert_eq!(
            config["uri"],
            json!("http://portcullis.portcullis.svc.cluster.local:9193/apisix")
        );
        config["uri"] = plugin["uri"].clone();
        assert_eq!(&config, plugin, "{}", document["kind"]);
    }
    let route = cluster
        .iter()
        .find(|document| document["kind"] == "ApisixRoute")
        .expect("a route");
    let named = &route["spec"]["http"][0]["plugin_config_name"];
    assert!(
        cluster.iter().any(
            |document| document["kind"] == "ApisixPluginConfig" && &document["metadata"]["name"] == named
        )
    );
}

#[test]
fn ingress_nginx_is_told_what_it_must_not_do() {
    let folder = deploy().join("ingress-nginx");
    let mut all = documents(&read(&folder.join("ingress.yaml")));
    all.extend(documents(&read(&folder.join("controller.yaml"))));
    all.extend(documents(&read(&deploy().join("kubernetes/networkpolicy.yaml"))));
    taken_by_kubernetes(&all);
    let annotations = all[0]["metadata"]["annotations"]
        .as_object()
        .expect("annotations");
    let annotation = |name: &str| &annotations[&format!("nginx.ingress.kubernetes.io/{name}")];
    assert_eq!(
        annotation("auth-url"),
        "http://portcullis.portcullis.svc.cluster.local:9193/nginx"
    );
    for never in [
        "auth-method",
        "auth-cache-key",
        "auth-snippet",
        "configuration-snippet",
        "rewrite-target",
        "use-regex",
    ] {
        assert!(
            !annotations.contains_key(&format!("nginx.ingress.kubernetes.io/{never}")),
            "{never}"
        );
    }
    let data = &all[1]["data"];
    for (name, expected) in [
        ("enable-underscores-in-headers", "false"),
        ("ignore-invalid-headers", "true"),
        ("allow-snippet-annotations", "false"),
        ("no-auth-locations", ""),
    ] {
        assert_eq!(data[name], json!(expected), "{name}");
    }
    let errors = data["custom-http-errors"].as_str().unwrap_or_default();
    assert!(!errors.contains("401") && !errors.contains("403"), "{errors}");
}
