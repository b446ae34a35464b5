//! What is aimed at, and whether it is met.

use std::collections::BTreeMap;

use crate::report::Table;

/// A number that a measure should not exceed.
#[derive(Debug)]
pub(crate) struct Target {
    /// What, in words.
    pub(crate) what: &'static str,
    /// The name of the measure.
    pub(crate) measure: &'static str,
    /// The most it should be.
    pub(crate) limit: f64,
    pub(crate) unit: &'static str,
}

macro_rules! targets {
    ($($what:literal, $measure:literal, $limit:literal, $unit:literal;)*) => {
        &[$(Target { what: $what, measure: $measure, limit: $limit, unit: $unit }),*]
    };
}

/// All of them; "CPU" is that of the server process per check.
pub(crate) const TARGETS: &[Target] = targets![
    "CPU of a decision with one condition, of the stock tonic no-op", "warm/of-tonic", 0.85, "×";
    "the same, of the no-op behind our transport", "warm/of-ours", 1.5, "×";
    "CPU of a decision by scopes alone, of the no-op behind our transport", "scope/of-ours", 1.25, "×";
    "user instructions of a decision with one condition", "instructions/warm", 60_000.0, "";
    "CPU with 100,000 policies, of 10", "policies/flat", 1.05, "×";
    "CPU with 10,000 more routes", "routes/ratio", 1.10, "×";
    "CPU with 1,000 groups in the token, 50 of them named, of a token as long with 2", "groups/ratio", 1.10, "×";
    "the same where no header tells the upstream the groups", "groups/untold-ratio", 1.10, "×";
    "CPU with 10,000 tokens in rotation, of one", "tokens/ratio", 1.15, "×";
    "CPU of a cold token beyond one signature verification", "cold/beyond-verification", 15.0, "µs";
    "memory of 100,000 cached tokens", "memory/tokens", 300.0, "MB";
    "allocations of the engine, conditions", "allocations/conditions", 10.0, "";
    "allocations of the engine, scopes alone", "allocations/scope", 2.0, "";
    "CPU on two cores, of one", "cores/ratio", 1.15, "×";
    "CPU of a reload of 100,000 links, off the answering threads", "reload/cpu", 1.0, "s";
    "start-up with 100,000 links", "start/links", 3.0, "s";
    "tokens verified when an issuer publishes its next key, while 10,000 are in use and one comes that it signed", "changes/next-key", 1.0, "";
    "the same when policies are reloaded", "changes/policies", 0.0, "";
    "p99 of p50 at half load", "latency/tail", 5.0, "×";
    "CPU that Envoy's HTTP contract over HTTP/2 adds to a request, of Envoy's own jwt_authn and RBAC", "envoy/http2-of-native", 1.0, "×";
    "the same over HTTP/1.1", "envoy/http-of-native", 1.0, "×";
];

/// The table of targets.
pub(crate) fn table(measures: &BTreeMap<String, f64>) -> Table {
    let mut table = Table::new("Targets", "", &["target", "at most", "measured", ""]);
    for target in TARGETS {
        let measured = measures.get(target.measure);
        table.row([
            target.what.to_owned(),
            amount(target.limit, target.unit),
            measured.map_or("not measured".to_owned(), |value| amount(*value, target.unit)),
            match measured {
                None => "",
                Some(value) if *value <= target.limit => "met",
                Some(_) => "**missed**",
            }
            .to_owned(),
        ]);
    }
    table
}

/// A number as people write it, and its unit.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    let number = if value >= 1000.0 {
        thousands(value.round() as u64)
    } else if value >= 100.0 || (unit.is_empty() && value.fract() == 0.0) {
        format!("{value:.0}")
    } else if value >= 20.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    format!("{number} {unit}").trim_end().to_owned()
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{TARGETS, amount, table};

    #[test]
    fn amounts() {
        for (value, unit, expected) in [
            (60_000.0, "", "60,000"),
            (0.85, "×", "0.85 ×"),
            (123.4, "MB", "123 MB"),
            (25.06, "µs", "25.1 µs"),
            (2.0, "", "2"),
            (1_234_567.0, "", "1,234,567"),
        ] {
            assert_eq!(amount(value, unit), expected);
        }
    }

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let measures = [("warm/of-tonic", 0.85), ("warm/of-ours", 1.51)];
        let measures = measures.map(|(name, value)| (name.to_owned(), value)).into();
        let rows = table(&measures).rows;
        let verdicts: Vec<&str> = rows.iter().take(3).map(|row| &*row[3]).collect();
        assert_eq!(verdicts, ["met", "**missed**", ""]);
        assert_eq!(rows.len(), TARGETS.len());
    }
}
