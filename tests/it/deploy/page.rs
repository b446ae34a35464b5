//! `docs/deploy.md`: its values, its names. `cargo xtask image` is run by `cargo xtask test`.

use serde_json::Value;

use super::{deploy, helm, loaded};

fn page() -> String {
    std::fs::read_to_string(deploy().join("../docs/deploy.md")).expect("the page")
}

#[test]
fn the_values_on_the_page_are_taken_and_become_rules() {
    let page = page();
    let start = page.find("```yaml\n# file: values.yaml\n").expect("the values") + 8;
    let length = page[start..].find("```").expect("their end");
    let Some(rendered) = helm::rendered(&[&page[start..start + length]]) else {
        return;
    };
    let one = &rendered[0];
    assert_eq!(one.refused, None);
    let found = loaded(&one.resources["ConfigMap portcullis"]);
    assert_eq!(found.rules.routes().routes().len(), 1);
    assert_eq!(found.rules.policies().count(), 1);
    let from = &one.resources["NetworkPolicy portcullis"]["spec"]["ingress"][0]["from"][0];
    assert_eq!(
        from["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
        "ingress"
    );
    assert!(one.resources.contains_key("ServiceMonitor portcullis"));
}

#[test]
fn what_the_page_names_is_there() {
    let page = page();
    let names = [
        "image.tag",
        "image.digest",
        "networkPolicy.egress",
        "resources.limits.memory",
        "existingConfigMap",
        "volumeMounts",
        "env",
        "secrets",
        "serviceMonitor",
        "autoscaling",
    ];
    let values = std::fs::read_to_string(deploy().join("helm/portcullis/values.yaml")).expect("a file");
    let values: Value = serde_saphyr::from_str(&values).expect("YAML");
    for name in names {
        assert!(page.contains(name), "{name}");
        assert!(
            values.pointer(&format!("/{}", name.replace('.', "/"))).is_some(),
            "{name}"
        );
    }
}
