//! What is measured, one file for each kind of question.

mod changes;
mod proxy;
mod scale;
mod stages;
mod time;
mod tokens;
mod warm;

use crate::Bench;
use crate::load::{Verdict, ask_once};
use crate::material::message;
use crate::report::Table;
use crate::rounds::Found;
use crate::server::Server;
use crate::stats::{least, median};
use crate::targets::amount;

/// One of them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Too slow for a quick look.
    pub(crate) slow: bool,
    pub(crate) run: fn(&mut Bench) -> Result<(), String>,
}

/// All, in the order of the report.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "warm",
        about: "a known token, beside servers that decide nothing",
        slow: false,
        run: warm::cpu,
    },
    Scenario {
        name: "instructions",
        about: "user instructions of the whole server (valgrind)",
        slow: false,
        run: warm::instructions,
    },
    Scenario {
        name: "policies",
        about: "10 to 100,000 policies",
        slow: false,
        run: scale::policies,
    },
    Scenario {
        name: "routes",
        about: "10,000 more routes",
        slow: false,
        run: scale::routes,
    },
    Scenario {
        name: "groups",
        about: "1,000 groups in the token",
        slow: false,
        run: scale::groups,
    },
    Scenario {
        name: "tokens",
        about: "10,000 tokens in rotation",
        slow: false,
        run: tokens::rotation,
    },
    Scenario {
        name: "cold",
        about: "tokens nobody has seen",
        slow: false,
        run: tokens::cold,
    },
    Scenario {
        name: "memory",
        about: "memory of 100,000 cached tokens",
        slow: true,
        run: tokens::memory,
    },
    Scenario {
        name: "cores",
        about: "two cores beside one",
        slow: false,
        run: time::cores,
    },
    Scenario {
        name: "latency",
        about: "latency at half load",
        slow: false,
        run: time::latency,
    },
    Scenario {
        name: "reload",
        about: "100,000 links loaded again under load",
        slow: false,
        run: time::reload,
    },
    Scenario {
        name: "changes",
        about: "keys, policies and replicas that change under load",
        slow: false,
        run: changes::changes,
    },
    Scenario {
        name: "start",
        about: "start-up with few and many policies",
        slow: false,
        run: time::start,
    },
    Scenario {
        name: "envoy",
        about: "through a real Envoy, beside Envoy's own filters",
        slow: false,
        run: proxy::envoy,
    },
    Scenario {
        name: "stages",
        about: "where the time goes inside, and allocations",
        slow: true,
        run: stages::stages,
    },
    Scenario {
        name: "tls",
        about: "TLS on the listener",
        slow: false,
        run: time::tls,
    },
];

/// Asks a server once and makes sure that it answers as it should; the bytes of its answer.
fn expect(server: &Server, message: &[u8], expected: Verdict) -> Result<Vec<u8>, String> {
    let (verdict, answer) = ask_once(server.grpc, message)?;
    if verdict == expected {
        return Ok(answer);
    }
    Err(format!(
        "expected {expected:?}, the answer is {verdict:?}: {}\n{}",
        String::from_utf8_lossy(&answer),
        server.log()
    ))
}

const COLUMNS: [&str; 7] = [
    "",
    "CPU a check",
    "ratio",
    "checks a second",
    "p50",
    "p99",
    "peak memory",
];

/// What rounds found, with ratios to the one at `base`.
fn table(title: &str, note: &str, found: &[Found], base: usize) -> Table {
    let mut table = Table::new(title, note, &COLUMNS);
    for one in found {
        let ratio = found.get(base).map_or(0.0, |base| one.ratio(base));
        table.row([
            one.name.clone(),
            amount(one.least_cpu(), "µs"),
            format!("{ratio:.2}"),
            amount(one.per_second.iter().copied().fold(0.0, f64::max), ""),
            amount(least(&one.p50), "µs"),
            amount(median(&one.p99), "µs"),
            amount(one.peak_memory, "MB"),
        ]);
    }
    table
}

/// The message of Alice's request for something of hers, by the user with this number.
fn hers(bench: &Bench, user: usize) -> Vec<u8> {
    message(crate::material::HERS, &bench.issuer.token(user))
}
