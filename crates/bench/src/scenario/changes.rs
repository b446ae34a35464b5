//! What a change under load does to those who ask meanwhile: a replica that joins, the next key of an issuer, other policies.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::time::half_load;
use crate::Bench;
use crate::folder::{self, Policies, Setup};
use crate::load::{self, Outcome, Pace, Plan, Verdict, ask_once};
use crate::material::{HERS, Issuer, message};
use crate::report::Table;
use crate::rounds::CROWD;
use crate::server::{Program, Server, request};
use crate::stats::percentile;
use crate::targets::amount;

/// How many people ask, each with a token.
const PEOPLE: usize = 10_000;
/// How many links there are, none of which concerns them.
const LINKS: usize = 10;
/// How long nothing happens before the change.
const QUIET: Duration = Duration::from_secs(3);
/// How long it is looked at what it did.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// What happens while everybody asks.
enum Change {
    /// Nothing.
    None,
    /// Everybody begins to ask a server that knows nobody.
    Joining,
    /// The issuer publishes another key beside its own, and somebody comes with a token signed by it.
    NextKey(PathBuf),
    /// A link more.
    Policies(PathBuf),
}

pub(super) fn changes(bench: &mut Bench) -> Result<(), String> {
    let everybody = super::tokens::messages(bench, 0..PEOPLE);
    let setup = Setup::new(Policies::Condition { links: LINKS });
    let places = bench.configure("changes", &setup)?;
    let beside = |name: &str| places.config.with_file_name(name);
    let server = bench.start("changes", &Program::Portcullis(&places))?;
    super::expect(&server, &everybody[0], Verdict::Allowed)?;
    let rate = half_load(&server, &everybody)?;
    let new = bench.portcullis("joining", &setup)?;
    let mut table = Table::new(
        "Changes under load",
        &format!(
            "One core, asked by {} people in turn, {} times a second: half of what it can answer when it knows them. The first columns are of \
             the second and a half that the change begins; an answer's time counts from when its question was due. Then, how many tokens were \
             verified, and from how many everything was derived again. A replica that joins gets all of that load at once, and nobody asks it \
             twice before it has met all of them: the worst there is.",
            amount(PEOPLE as f64, ""),
            amount(rate, ""),
        ),
        &[
            "",
            "p50",
            "p99",
            "slowest",
            "p99 of the next second and a half",
            "verified",
            "derived again",
            "not allowed",
        ],
    );
    let next_key = Change::NextKey(beside("jwks.json"));
    let policies = Change::Policies(beside(folder::LINKS));
    for (name, measure, change, server) in [
        ("nothing changes", "changes/nothing", Change::None, &server),
        ("the issuer's next key", "changes/next-key", next_key, &server),
        ("other policies", "changes/policies", policies, &server),
        ("a replica joins", "changes/joining", Change::Joining, &new),
    ] {
        let lookups = |result: &str| {
            let sample = format!(r#"portcullis_token_cache_lookups_total{{result="{result}"}}"#);
            server.metric(&sample)
        };
        let quiet = match change {
            Change::Joining => Duration::ZERO,
            Change::None | Change::NextKey(_) | Change::Policies(_) => QUIET,
        };
        let (missed, derived) = (lookups("miss")?, lookups("verified")?);
        let plan = Plan {
            address: server.grpc,
            connections: CROWD.connections,
            messages: &everybody,
            pace: Pace::Rate {
                per_second: rate,
                lasts: quiet + AFTERWARDS,
            },
        };
        let begun = Instant::now();
        let (outcome, at) = thread::scope(|scope| {
            let changing = scope.spawn(|| {
                thread::sleep(quiet);
                let at = begun.elapsed();
                change.happen(server).map(|()| at)
            });
            let outcome = load::run(&plan)?;
            let at = changing.join().map_err(|_| "the change failed")??;
            Ok::<_, String>((outcome, at))
        })?;
        let half = AFTERWARDS / 2;
        let mut first = between(&outcome, at, at + half);
        let mut second = between(&outcome, at + half, at + AFTERWARDS);
        let verified = lookups("miss")? - missed;
        table.row([
            name.to_owned(),
            amount(percentile(&mut first, 0.5), "µs"),
            amount(percentile(&mut first, 0.99), "µs"),
            amount(percentile(&mut first, 1.0) / 1e3, "ms"),
            amount(percentile(&mut second, 0.99), "µs"),
            amount(verified, ""),
            amount(lookups("verified")? - derived, ""),
            amount((outcome.denied + outcome.failed) as f64, ""),
        ]);
        bench.report.measure(measure, verified);
    }
    bench.report.tables.push(table);
    Ok(())
}

impl Change {
    fn happen(&self, server: &Server) -> Result<(), String> {
        match self {
            Self::None | Self::Joining => Ok(()),
            Self::NextKey(jwks) => next_key(server, jwks),
            Self::Policies(links) => {
                folder::replace(links, &folder::links(&folder::grants(LINKS + 1)))?;
                let admin = server.admin.ok_or("no admin address")?;
                match request(admin, "POST", "/reload")? {
                    200 => Ok(()),
                    status => Err(format!("POST /reload: {status}\n{}", server.log())),
                }
            }
        }
    }
}

fn next_key(server: &Server, jwks: &Path) -> Result<(), String> {
    let next = Issuer::with_key("bench-2")?;
    let known = fs::read_to_string(jwks).map_err(|error| format!("{}: {error}", jwks.display()))?;
    let mut known: serde_json::Value = serde_json::from_str(&known).map_err(|error| error.to_string())?;
    let keys = known["keys"].as_array_mut().ok_or("no keys")?;
    keys.extend(next.jwks()["keys"].as_array().cloned().unwrap_or_default());
    folder::replace(jwks, &known.to_string())?;
    // It names a key that the server does not know, so it waits until the keys have been read again.
    match ask_once(server.grpc, &message(HERS, &next.token(PEOPLE)))? {
        (Verdict::Allowed, _) => Ok(()),
        (verdict, _) => Err(format!("the next key: {verdict:?}\n{}", server.log())),
    }
}

/// Microseconds of the answers to questions that were due in that time.
fn between(outcome: &Outcome, from: Duration, to: Duration) -> Vec<f64> {
    let latencies = outcome.latencies.iter();
    let due = latencies.filter(|(took, came)| {
        let due = came.saturating_sub(*took);
        from <= due && due < to
    });
    due.map(|(took, _)| took.as_secs_f64() * 1e6).collect()
}
