//! `docs/metrics.md` lists what a server writes: no more, no less, with its types, labels and meanings.

use std::fmt::Write as _;
use std::path::Path;

use super::{Scrape, Whole, text};
use crate::house::TestHouse;

/// The table is behind this line.
const TABLE: &str = "| metric | type | labels | meaning |\n|---|---|---|---|\n";

#[tokio::test]
async fn the_table_is_what_a_server_writes() {
    let whole = Whole::start().await;
    let scrape = Scrape::of(whole.house.admin()).await;
    let mut table = String::new();
    for (name, (kind, help)) in &scrape.families {
        let total = if kind == "counter" { "_total" } else { "" };
        let labels: Vec<String> = scrape
            .labels(name)
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let labels = labels.join(" ");
        let _ = writeln!(table, "| `{name}{total}` | {kind} | {labels} | {help} |");
        assert!(
            name.starts_with("portcullis_") || name.starts_with("process_"),
            "{name}"
        );
        assert!(
            scrape
                .series
                .iter()
                .any(|(series, ..)| scrape.family(series) == Some(name)),
            "{name}"
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(&path).expect("docs/metrics.md");
    let (before, rest) = page.split_once(TABLE).expect("a table");
    let (found, after) = rest.split_once("\n\n").expect("something behind the table");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{TABLE}{}\n\n{after}", table.trim_end())).expect("written");
        return;
    }
    assert_eq!(
        found,
        table.trim_end(),
        "run `PORTCULLIS_UPDATE=1 cargo test --workspace --test it metrics` and look at what changes"
    );
}

#[tokio::test]
async fn both_formats_are_served_to_whoever_asks_for_them() {
    let house = TestHouse::start().await;
    for (accept, kind, line) in [
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "# TYPE portcullis_decisions counter",
        ),
        (
            "*/*",
            "text/plain; version=0.0.4; charset=utf-8",
            "# TYPE portcullis_decisions_total counter",
        ),
    ] {
        let (found, text) = text(house.admin(), accept).await;
        assert_eq!(found, kind, "{accept}");
        assert!(text.lines().any(|found| found == line), "{accept}: {text}");
        assert_eq!(
            text.ends_with("# EOF\n"),
            kind.starts_with("application"),
            "{accept}"
        );
    }
}
