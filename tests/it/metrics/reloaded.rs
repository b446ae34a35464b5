//! What counts do when the rules change: the real program, as operators run it.

use bytes::Bytes;
use portcullis::ask::{self, Question};
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::{http, stage};

use super::Scrape;
use crate::served::Served;

const MORE: &str = "\n@id(\"more\") permit(principal, action, resource is PublicPage) when { context.path == \"/public/more\" };";

async fn page(served: &Served, target: &str) -> bool {
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
    };
    let answer = ask::over_grpc(&served.grpc().to_string(), question).await;
    answer.expect("an answer").allowed
}

async fn reload(served: &Served) -> u16 {
    let answer = http::send(served.admin(), "POST", "/reload", &[], Bytes::new()).await;
    answer.expect("an answer").status().as_u16()
}

fn version(scrape: &Scrape) -> String {
    let mut infos = scrape.with("portcullis_rules_info", &[]);
    let (labels, one) = infos.next().expect("rules");
    assert_eq!((one, infos.next()), (1.0, None));
    labels["version"].clone()
}

#[tokio::test]
async fn counts_go_on_over_reloads_and_reloads_are_counted() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer) + "\nreload: { watch: false }\n";
    let served = Served::start(&config, &[], &[]).await;
    let policies = served.file("public.cedar");
    let before = std::fs::read_to_string(&policies).expect("policies");
    let check = async |outcomes: [u64; 3], good: f64, public: u64, more: Option<u64>| {
        let scrape = Scrape::of(served.admin()).await;
        for (outcome, count) in ["changed", "unchanged", "refused"].into_iter().zip(outcomes) {
            let found = scrape.sum("portcullis_reloads_total", &[("outcome", outcome)]);
            assert_eq!(found as u64, count, "{outcome}");
        }
        assert_eq!(scrape.sum("portcullis_reload_last_good", &[]), good);
        let of = |policy| {
            let labels = [("policy", policy)];
            let mut counts = scrape.with("portcullis_policy_matches_total", &labels);
            counts.next().map(|(_, count)| count as u64)
        };
        assert_eq!((of("public-read"), of("more")), (Some(public), more));
        scrape
    };
    assert!(page(&served, "/public/a").await);
    let first = check([0; 3], 1.0, 1, None).await;

    std::fs::write(&policies, before.clone() + MORE).expect("written");
    assert_eq!(reload(&served).await, 200);
    assert!(page(&served, "/public/a").await);
    let second = check([1, 0, 0], 1.0, 2, Some(0)).await;
    assert_ne!(version(&first), version(&second));
    let policies_of = |scrape: &Scrape| scrape.sum("portcullis_rules_policies", &[]);
    assert_eq!(policies_of(&second), policies_of(&first) + 1.0);
    let loaded = |scrape: &Scrape| scrape.sum("portcullis_rules_loaded_timestamp_seconds", &[]);
    assert!(loaded(&second) > loaded(&first));

    assert_eq!(reload(&served).await, 200);
    std::fs::write(&policies, "permit(").expect("written");
    assert_eq!(reload(&served).await, 422);
    let third = check([1, 1, 1], 0.0, 2, Some(0)).await;
    assert_eq!(version(&third), version(&second));

    std::fs::write(&policies, before).expect("written");
    assert_eq!(reload(&served).await, 200);
    assert!(page(&served, "/public/more").await);
    let last = check([2, 1, 1], 1.0, 3, None).await;
    assert_eq!(version(&last), version(&first));
    assert_eq!(
        last.sum("portcullis_decisions_total", &[("verdict", "allow")]),
        3.0
    );
    // It is a process of its own.
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(last.sum(name, &[]) > 0.0, "{name}");
    }
}
