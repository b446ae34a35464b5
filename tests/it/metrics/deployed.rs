//! The dashboard and the alerts in `deploy/grafana`: every query is about series that a running server has.

use std::collections::BTreeSet;

use portcullis::demo::people;
use serde_json::Value;

use super::promql::Expression;
use super::{Scrape, Whole};
use crate::house::TestHouse;

const DASHBOARD: &str = include_str!("../../../deploy/grafana/dashboard.json");
const ALERTS: &str = include_str!("../../../deploy/grafana/alerts.yaml");

/// Labels that Prometheus gives to every series of a target, and the bounds of buckets.
const OF_TARGETS: [&str; 3] = ["job", "instance", "le"];

/// What only a server with an authority, with TLS of its own, or with opaque tokens to ask about has.
const NOT_IN_THE_DEMO: [&str; 3] = [
    "portcullis_store_",
    "portcullis_tls_",
    "portcullis_introspection_",
];

/// What is wrong with an expression about these series.
fn wrong(text: &str, scrape: &Scrape) -> Vec<String> {
    let expression = Expression::read(text);
    let mut wrong = Vec::new();
    let mut labels: BTreeSet<&str> = OF_TARGETS.into();
    if expression.selectors.is_empty() {
        wrong.push("it asks for nothing".to_owned());
    }
    for (name, matchers) in &expression.selectors {
        let mut series = scrape
            .with(name, &[])
            .map(|(labels, _)| labels)
            .collect::<Vec<_>>();
        if series.is_empty() {
            wrong.push(format!("there is no {name}"));
            continue;
        }
        let known: BTreeSet<&str> = series
            .iter()
            .flat_map(|labels| labels.keys())
            .map(String::as_str)
            .collect();
        for (label, operator, value) in matchers {
            if OF_TARGETS.contains(&label.as_str()) {
                continue;
            }
            if !known.contains(label.as_str()) {
                wrong.push(format!("{name} has no label {label}"));
            }
            let values: Vec<&str> = if operator.ends_with('~') {
                value.split('|').collect()
            } else {
                vec![value]
            };
            for value in values {
                if !series
                    .iter()
                    .any(|labels| labels.get(label).is_some_and(|found| found == value))
                {
                    wrong.push(format!("{name} is never with {label}=\"{value}\""));
                }
            }
            if operator == "=" {
                series.retain(|labels| labels.get(label) == Some(value));
            }
        }
        labels.extend(known);
        let kind = scrape
            .family(name)
            .map(|family| scrape.families[family].0.as_str());
        let over_time = text.contains("rate(") || text.contains("increase(");
        if kind == Some("gauge") && text.contains(&format!("rate({name}")) {
            wrong.push(format!("{name} is a gauge, and has no rate"));
        }
        if kind == Some("counter") && !over_time && !text.contains("_differences_total") {
            wrong.push(format!("{name} is a counter, and says nothing by itself"));
        }
    }
    let strangers = expression
        .by
        .iter()
        .filter(|label| !labels.contains(label.as_str()));
    wrong.extend(strangers.map(|label| format!("nothing in it has the label {label}")));
    wrong
}

/// Every panel with its queries, also those in rows.
fn panels(dashboard: &Value) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        if panel["type"] == "row" {
            found.extend(panels(panel));
            continue;
        }
        let title = panel["title"].as_str().expect("a title").to_owned();
        let queries = panel["targets"].as_array().into_iter().flatten();
        let queries = queries.map(|target| target["expr"].as_str().unwrap_or_default().to_owned());
        found.push((title, queries.collect()));
    }
    found
}

/// Every alert with its expression, its labels and its annotations.
fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(ALERTS).expect("YAML");
    let groups = file["groups"].as_array().expect("groups").clone();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"));
    rules.cloned().collect()
}

/// A house that was asked this and that.
async fn asked(house: &TestHouse) -> Scrape {
    let token = format!("Bearer {}", people::alice(&house.issuer).token);
    for (target, headers) in [
        ("/public/a", &[][..]),
        ("/workspaces/ws-alice", &[("authorization", token.as_str())][..]),
        ("/workspaces/ws-alice", &[][..]),
    ] {
        house.ask("GET", target, headers).await;
    }
    Scrape::of(house.admin()).await
}

#[tokio::test]
async fn every_panel_has_data_in_the_demo() {
    let house = TestHouse::start().await;
    let scrape = asked(&house).await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = panels(&dashboard);
    assert!(panels.len() >= 20, "{} panels", panels.len());
    let mut titles = BTreeSet::new();
    for (title, queries) in panels {
        assert!(titles.insert(title.clone()), "two panels are called {title}");
        assert!(!queries.is_empty(), "{title} asks for nothing");
        let of_the_demo = queries
            .iter()
            .filter(|query| !NOT_IN_THE_DEMO.iter().any(|name| query.contains(name)));
        assert_ne!(of_the_demo.clone().count(), 0, "{title} has no data in the demo");
        for query in of_the_demo {
            assert_eq!(wrong(query, &scrape), [""; 0], "{title}: {query}");
        }
    }
}

#[tokio::test]
async fn dashboard_and_alerts_speak_of_what_there_is() {
    let whole = Whole::start().await;
    let scrape = asked(&whole.house).await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    for (title, queries) in panels(&dashboard) {
        for query in queries {
            assert_eq!(wrong(&query, &scrape), [""; 0], "{title}: {query}");
        }
    }
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "two alerts are called {name}");
        let expression = alert["expr"].as_str().expect("an expression");
        assert_eq!(wrong(expression, &scrape), [""; 0], "{name}: {expression}");
        let severity = alert["labels"]["severity"].as_str();
        assert!(
            matches!(severity, Some("critical" | "warning" | "info")),
            "{name}: {severity:?}"
        );
        for (annotation, least) in [("summary", 20), ("description", 80)] {
            let text = alert["annotations"][annotation].as_str().unwrap_or_default();
            assert!(text.len() >= least, "{name} has no {annotation}: {text:?}");
            let used = text.split("$labels.").skip(1);
            let used = used.map(|rest| {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                    .unwrap_or_default()
            });
            for label in used {
                let read = Expression::read(expression);
                let of_series = read.selectors.iter().filter_map(|(name, _)| scrape.family(name));
                let mut of_series = of_series.flat_map(|family| scrape.labels(family));
                assert!(
                    OF_TARGETS.contains(&label) || of_series.any(|known| known == label),
                    "{name}: no label {label}"
                );
            }
        }
    }
    assert!(names.len() >= 15, "{names:?}");
}

#[test]
fn what_is_wrong_is_found() {
    let text = "# HELP a A\n# TYPE a counter\na_total{v=\"x\"} 1\n# HELP g G\n# TYPE g gauge\ng 1\n# EOF\n";
    let scrape = Scrape::read(text);
    for (expression, faults) in [
        ("rate(a_total{v=\"x\"}[5m]) + g", 0),
        ("sum by (v) (rate(a_total[5m]))", 0),
        ("", 1),
        ("a_total", 1),
        ("rate(b_total[5m])", 1),
        ("rate(a_total{v=\"y\"}[5m])", 1),
        ("rate(a_total{w=\"x\"}[5m])", 2),
        ("sum by (w) (rate(a_total[5m]))", 1),
        ("rate(g[5m])", 1),
    ] {
        assert_eq!(
            wrong(expression, &scrape).len(),
            faults,
            "{expression}: {:?}",
            wrong(expression, &scrape)
        );
    }
}
