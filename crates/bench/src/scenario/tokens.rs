//! Tokens that change: in rotation, never seen before, and how much memory those that were seen take.

use std::time::{Duration, Instant};

use crate::Bench;
use crate::folder::{Policies, Setup};
use crate::load::{self, Pace, Plan, Verdict};
use crate::machine;
use crate::report::Table;
use crate::rounds::{self, Asked, CROWD, Contender, Effort};
use crate::server::Server;
use crate::targets::amount;

fn setup() -> Setup {
    Setup::new(Policies::Condition { links: 10 })
}

/// The messages of users, each with a token of their own.
pub(super) fn messages(bench: &Bench, users: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    eprintln!("  signing {} tokens", users.len());
    users.map(|user| super::hers(bench, user)).collect()
}

pub(super) fn rotation(bench: &mut Bench) -> Result<(), String> {
    let count = 10_000;
    let all = messages(bench, 0..count);
    let one = &all[..1];
    let (first, second) = (
        bench.portcullis("one-token", &setup())?,
        bench.portcullis("tokens", &setup())?,
    );
    let contender = |name: &str, server, messages| Contender {
        name: name.to_owned(),
        server,
        asked: Asked::Different(messages),
    };
    // All are known before it counts.
    ask_all(&second, &all)?;
    let hits = || second.metric(r#"portcullis_token_cache_lookups_total{result="hit"}"#);
    let verified = || second.metric(r#"portcullis_token_cache_lookups_total{result="verified"}"#);
    let (hits_before, verified_before) = (hits()?, verified()?);
    let contenders = [
        contender("one token", &first, one),
        contender("10,000 tokens in turn", &second, &all[..]),
    ];
    let effort = bench.effort();
    let found = rounds::run(
        &contenders,
        Effort {
            requests: effort.requests.max(count),
            ..effort
        },
    )?;
    let (hits, verified) = (hits()? - hits_before, verified()? - verified_before);
    let note = format!(
        "Asked by our own generator, which can send different messages; its numbers are not comparable with those above. Of the tokens in \
         turn, {:.2} % were found with all that is derived from them.",
        100.0 * hits / (hits + verified),
    );
    bench
        .report
        .tables
        .push(super::table("Tokens in rotation", &note, &found, 0));
    if let [one, many] = &found[..] {
        bench.report.measure("tokens/ratio", many.ratio(one));
    }
    Ok(())
}

pub(super) fn cold(bench: &mut Bench) -> Result<(), String> {
    let effort = Effort {
        rounds: if bench.quick { 3 } else { 8 },
        requests: 1_000,
        crowd: CROWD,
    };
    let all = messages(bench, 0..effort.rounds * effort.requests);
    let (warm, cold) = (
        bench.portcullis("warm", &setup())?,
        bench.portcullis("cold", &setup())?,
    );
    let found = rounds::run(
        &[
            Contender {
                name: "a known token".to_owned(),
                server: &warm,
                asked: Asked::Different(&all[..1]),
            },
            Contender {
                name: "a token nobody has seen".to_owned(),
                server: &cold,
                asked: Asked::Once(&all),
            },
        ],
        effort,
    )?;
    let verification = bench.issuer.verification()?.as_secs_f64() * 1e6;
    let [known, unknown] = &found[..] else {
        return Ok(());
    };
    let beyond = unknown.least_cpu() - known.least_cpu() - verification;
    let note = format!(
        "One RS256 verification (2048 bits) of such a token alone takes {} here. A cold check costs that, {} of a warm check, and {} \
         beyond both.",
        amount(verification, "µs"),
        amount(known.least_cpu(), "µs"),
        amount(beyond, "µs"),
    );
    let table = super::table("Cold tokens", &note, &found, 0);
    bench.report.tables.push(table);
    bench.report.measure("cold/beyond-verification", beyond);
    bench.report.measure("cold/cpu-us", unknown.least_cpu());
    Ok(())
}

pub(super) fn memory(bench: &mut Bench) -> Result<(), String> {
    let count = 100_000;
    let server = bench.portcullis("memory", &setup())?;
    let mut table = Table::new(
        "Memory of cached tokens",
        "Resident memory of the server, how many tokens are kept with all that is derived from them and how many as verified, and the CPU \
         of asking once more with each: what is not kept whole is derived again, what is not kept at all is verified again.",
        &[
            "tokens",
            "memory",
            "more than before",
            "kept whole",
            "kept as verified",
            "CPU a check, asked again",
        ],
    );
    super::expect(&server, &super::hers(bench, 0), Verdict::Allowed)?;
    let before = machine::memory(server.id(), "VmRSS")?;
    let all = messages(bench, 0..count);
    for part in [1_000, 10_000, count] {
        let some = all.get(..part).unwrap_or_default();
        ask_all(&server, some)?;
        let now = machine::memory(server.id(), "VmRSS")?;
        let kept =
            |cache: &str| server.metric(&format!(r#"portcullis_token_cache_entries{{cache="{cache}"}}"#));
        let (whole, verified) = (kept("lately")?, kept("verified")?);
        let cpu = server.cpu()?;
        ask_all(&server, some)?;
        let again = server.cpu()?.saturating_sub(cpu).as_secs_f64() * 1e6 / part as f64;
        table.row([
            amount(part as f64, ""),
            amount(now, "MB"),
            amount(now - before, "MB"),
            amount(whole, ""),
            amount(verified, ""),
            amount(again, "µs"),
        ]);
        bench.report.measure("memory/tokens", now - before);
    }
    bench.report.tables.push(table);
    Ok(())
}

/// Asks with each message once.
fn ask_all(server: &Server, messages: &[Vec<u8>]) -> Result<Duration, String> {
    let begun = Instant::now();
    let outcome = load::run(&Plan {
        address: server.grpc,
        connections: CROWD.connections,
        messages,
        pace: Pace::AsFastAsAnswered {
            streams: CROWD.streams,
            requests: messages.len(),
        },
    })?;
    if outcome.allowed != messages.len() {
        return Err(format!(
            "{} of {} were allowed",
            outcome.allowed,
            outcome.answers()
        ));
    }
    Ok(begun.elapsed())
}
