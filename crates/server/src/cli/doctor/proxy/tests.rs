use super::*;
use crate::cli::doctor::Mark;

const METRICS: &str = "\
# TYPE portcullis_decisions counter
portcullis_decisions_total{contract=\"envoy_grpc\",reason=\"permitted\",verdict=\"allow\"} 10
portcullis_decisions_total{contract=\"envoy_grpc\",reason=\"no_permit\",verdict=\"deny\"} 3
portcullis_decisions_total{contract=\"envoy_grpc\",reason=\"ambiguous_path\",verdict=\"deny\"} 2
portcullis_decisions_total{contract=\"nginx\",reason=\"no_route\",verdict=\"deny\"} 4
portcullis_decisions_total{contract=\"nginx\",reason=\"permitted\",verdict=\"allow\"} 0
portcullis_decisions_total{contract=\"house\",reason=\"permitted\",verdict=\"allow\"} 5
";

#[test]
fn metrics_tell_what_proxies_sent() {
    let found: Vec<(Mark, String)> = by_metrics(METRICS)
        .into_iter()
        .map(|it| (it.mark, format!("{}: {}", it.about, it.found)))
        .collect();
    let expected = [
        (
            Mark::Good,
            "proxy by envoy_grpc: checks since the server started: 15, denied: 5",
        ),
        (Mark::Doubtful, "proxy by envoy_grpc: denied as ambiguous_path: 2"),
        (
            Mark::Good,
            "proxy by nginx: checks since the server started: 4, denied: 4",
        ),
        (Mark::Doubtful, "proxy by nginx: denied as no_route: 4"),
    ];
    assert_eq!(found, expected.map(|(mark, text)| (mark, text.to_owned())));
}

#[test]
fn a_server_that_nobody_asks_is_doubtful() {
    let found = by_metrics("portcullis_build_info{version=\"1\"} 1\n");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].mark, Mark::Doubtful);
}
