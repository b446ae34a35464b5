//! Latency at half load, two cores, and what happens while everything is loaded again.

use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::folder::{self, Policies, Setup};
use crate::load::{self, Outcome, Pace, Plan, Verdict};
use crate::machine;
use crate::report::Table;
use crate::rounds::{self, Asked, CROWD, Contender};
use crate::server::{Program, Server, request};
use crate::stats::percentile;
use crate::targets::amount;
use crate::tools::{H2LOAD, Tool};

/// How many windows a second of questions has.
const WINDOWS: u32 = 4;

pub(super) fn latency(bench: &mut Bench) -> Result<(), String> {
    let asked = [super::hers(bench, 0)];
    let setup = Setup::new(Policies::Condition { links: 10 });
    let server = bench.portcullis("latency", &setup)?;
    let answer = super::expect(&server, &asked[0], Verdict::Allowed)?;
    let answer = bench.file("latency.bin", &answer)?;
    let no_op = bench.start("latency-ours", &Program::Yardstick("ours", &answer))?;
    let half = half_load(&server, &asked)?;
    let windows = if bench.quick { 5 } else { 20 };
    let mut table = Table::new(
        "Latency at half load",
        "Questions come at random moments and count from the moment they were due. The middle and the best of windows of a quarter of a \
         second, chosen by p99: on a shared machine the tail is that of the neighbours. The second server decides nothing.",
        &["", "checks a second", "p50", "p99", "p99 / p50"],
    );
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..windows {
        for (server, found) in [&server, &no_op].into_iter().zip(&mut found) {
            let outcome = load::run(&Plan {
                address: server.grpc,
                connections: CROWD.connections,
                messages: &asked,
                pace: Pace::Rate {
                    per_second: half,
                    lasts: Duration::from_secs(1),
                },
            })?;
            for window in 0..WINDOWS {
                let from = outcome.took * window / WINDOWS;
                let to = outcome.took * (window + 1) / WINDOWS;
                found.push(half_and_tail(&outcome, |came| from <= came && came < to));
            }
        }
    }
    for (name, found) in ["one condition", "no-op behind our transport"]
        .into_iter()
        .zip(&mut found)
    {
        found.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        for (which, window) in [("best", found.first()), ("middle", found.get(found.len() / 2))] {
            if let Some((p50, p99)) = window {
                table.row([
                    format!("{name}, {which} window"),
                    amount(half, ""),
                    amount(*p50, "µs"),
                    amount(*p99, "µs"),
                    format!("{:.1}", p99 / p50),
                ]);
            }
        }
    }
    if let Some((p50, p99)) = found[0].first() {
        bench.report.measure("latency/tail", p99 / p50);
        bench.report.measure("latency/p50-us", *p50);
        bench.report.measure("latency/p99-us", *p99);
    }
    bench.report.tables.push(table);
    Ok(())
}

/// Half of what one core can answer now, in checks a second, by the CPU that a check costs. Threads that end
/// meanwhile, such as those that loaded, are counted, too: without them it could be nothing.
pub(super) fn half_load(server: &Server, asked: &[Vec<u8>]) -> Result<f64, String> {
    let requests = 60_000;
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let before = machine::cpu_with_the_dead(server.id())?;
        load::run(&Plan {
            address: server.grpc,
            connections: CROWD.connections,
            messages: asked,
            pace: Pace::AsFastAsAnswered {
                streams: CROWD.streams,
                requests,
            },
        })?;
        let cpu = machine::cpu_with_the_dead(server.id())?
            .saturating_sub(before)
            .as_secs_f64()
            / requests as f64;
        least = least.min(cpu);
    }
    Ok(0.5 / least)
}

/// p50 and p99 in microseconds, of the answers that came at such moments.
fn half_and_tail(outcome: &Outcome, when: impl Fn(Duration) -> bool) -> (f64, f64) {
    let mut took: Vec<f64> = outcome
        .latencies
        .iter()
        .filter(|(_, came)| when(*came))
        .map(|(took, _)| took.as_secs_f64() * 1e6)
        .collect();
    (percentile(&mut took, 0.5), percentile(&mut took, 0.99))
}

pub(super) fn cores(bench: &mut Bench) -> Result<(), String> {
    let h2load = Tool::find(&H2LOAD)?;
    let asked = super::hers(bench, 0);
    let file = bench.file("cores.msg", &asked)?;
    let mut setup = Setup::new(Policies::Condition { links: 10 });
    let one = bench.portcullis("one-core", &setup)?;
    setup.threads = 2;
    let places = bench.configure("two-cores", &setup)?;
    let log = bench.dir.path().join("two-cores.log");
    let (first, second) = (bench.cores.server, bench.cores.server + 1);
    let both = format!("{first},{second}");
    let two = Server::start(&bench.binaries, &Program::Portcullis(&places), &both, &[], log)?;
    let contender = |name: &str, server| Contender {
        name: name.to_owned(),
        server,
        asked: Asked::Same(&h2load, file.clone()),
    };
    super::expect(&two, &asked, Verdict::Allowed)?;
    let found = rounds::run(
        &[contender("one core", &one), contender("two cores", &two)],
        bench.effort(),
    )?;
    let note = if bench.cores.count > 2 {
        ""
    } else {
        "There are two cores here: what asks shares one of them with the server, so the rate on two cores says nothing."
    };
    bench.report.tables.push(super::table("Cores", note, &found, 0));
    if let [one, two] = &found[..] {
        bench.report.measure("cores/ratio", two.ratio(one));
    }
    Ok(())
}

/// Threads that answer and the one that writes records; the others load.
fn answers(name: &str) -> bool {
    name.starts_with("answers") || name.starts_with("decision-log")
}

pub(super) fn reload(bench: &mut Bench) -> Result<(), String> {
    let links = 100_000;
    let asked = [super::hers(bench, 0)];
    let places = bench.configure("reload", &Setup::new(Policies::Condition { links }))?;
    let server = bench.start("reload", &Program::Portcullis(&places))?;
    super::expect(&server, &asked[0], Verdict::Allowed)?;
    let rate = half_load(&server, &asked)? / 2.0;
    let file = places.config.with_file_name(folder::LINKS);
    let admin = server.admin.ok_or("no admin address")?;
    let (quiet, lasts) = (
        Duration::from_secs(3),
        Duration::from_secs(if bench.quick { 9 } else { 12 }),
    );
    let before = loading(&server)?;
    let begun = Instant::now();
    let changing = thread::spawn(move || {
        let text = folder::links(&folder::grants(links + 1));
        thread::sleep(quiet);
        let begun_at = begun.elapsed();
        folder::replace(&file, &text)?;
        let status = request(admin, "POST", "/reload")?;
        Ok::<_, String>((status, begun_at, begun.elapsed()))
    });
    let outcome = load::run(&Plan {
        address: server.grpc,
        connections: CROWD.connections,
        messages: &asked,
        pace: Pace::Rate {
            per_second: rate,
            lasts,
        },
    })?;
    let (status, from, to) = changing.join().map_err(|_| "the change failed")??;
    if status != 200 {
        return Err(format!(
            "POST /reload is answered with {status}:\n{}",
            server.log()
        ));
    }
    let cpu = loading(&server)?.saturating_sub(before);
    let mut table = Table::new(
        "Reload of 100,000 links under load",
        &format!(
            "One core for everything, a quarter of it busy with checks; {} checks were allowed, {} not. The reload took {} of CPU outside the \
             answering threads and {} from the change to the answer of `POST /reload`; the server had at most {} in memory.",
            outcome.allowed,
            outcome.denied + outcome.failed,
            amount(cpu.as_secs_f64(), "s"),
            amount((to - from).as_secs_f64(), "s"),
            amount(machine::memory(server.id(), "VmHWM")?, "MB"),
        ),
        &["", "p50", "p99"],
    );
    for (name, (p50, p99)) in [
        ("before", half_and_tail(&outcome, |came| came < from)),
        (
            "during the reload",
            half_and_tail(&outcome, |came| came >= from && came < to),
        ),
        ("afterwards", half_and_tail(&outcome, |came| came >= to)),
    ] {
        table.row([name.to_owned(), amount(p50, "µs"), amount(p99, "µs")]);
    }
    bench.report.tables.push(table);
    bench.report.measure("reload/cpu", cpu.as_secs_f64());
    bench
        .report
        .measure("reload/denied", (outcome.denied + outcome.failed) as f64);
    Ok(())
}

/// CPU of the threads that do not answer, those that ended included.
fn loading(server: &Server) -> Result<Duration, String> {
    let answering = machine::cpu(server.id(), answers)?;
    Ok(machine::cpu_with_the_dead(server.id())?.saturating_sub(answering))
}

pub(super) fn start(bench: &mut Bench) -> Result<(), String> {
    let mut table = Table::new(
        "Start-up",
        "From the start of the program until `/readyz` says yes, on all cores; the best of three. Static policies are parsed and \
         validated one by one, links are not.",
        &["", "time", "CPU", "memory"],
    );
    let mut kinds = vec![
        ("default pack", "start/default", Policies::DefaultPack),
        (
            "100,000 links",
            "start/links",
            Policies::Condition { links: 100_000 },
        ),
    ];
    let statics: &[(&str, &str, usize)] = if bench.quick {
        &[("1,000 static policies", "start/static-1000", 1_000)]
    } else {
        &[
            ("1,000 static policies", "start/static-1000", 1_000),
            ("10,000 static policies", "start/static-10000", 10_000),
            ("100,000 static policies", "start/static", 100_000),
        ]
    };
    for (name, measure, count) in statics {
        kinds.push((name, measure, Policies::Static { count: *count }));
    }
    let all = format!("0-{}", bench.cores.count - 1);
    for (name, measure, policies) in kinds {
        let mut best: Option<(Duration, Duration, f64)> = None;
        let tries = if matches!(policies, Policies::Static { count } if count > 10_000) {
            1
        } else {
            3
        };
        for _ in 0..tries {
            let places = bench.configure("start", &Setup::new(policies.clone()))?;
            let log = bench.dir.path().join("start.log");
            let server = Server::start(&bench.binaries, &Program::Portcullis(&places), &all, &[], log)?;
            let cpu = machine::cpu_with_the_dead(server.id())?;
            let memory = machine::memory(server.id(), "VmRSS")?;
            if best.is_none_or(|(time, ..)| server.started < time) {
                best = Some((server.started, cpu, memory));
            }
        }
        if let Some((time, cpu, memory)) = best {
            table.row([
                name.to_owned(),
                amount(time.as_secs_f64(), "s"),
                amount(cpu.as_secs_f64(), "s"),
                amount(memory, "MB"),
            ]);
            bench.report.measure(measure, time.as_secs_f64());
        }
    }
    bench.report.tables.push(table);
    Ok(())
}

pub(super) fn tls(bench: &mut Bench) -> Result<(), String> {
    let h2load = Tool::find(&H2LOAD)?;
    let asked = super::hers(bench, 0);
    let file = bench.file("tls.msg", &asked)?;
    let mut setup = Setup::new(Policies::Condition { links: 10 });
    let plain = bench.portcullis("plain", &setup)?;
    setup.tls = true;
    let encrypted = bench.portcullis("tls", &setup)?;
    super::expect(&plain, &asked, Verdict::Allowed)?;
    let contenders = [
        Contender {
            name: "plain text".to_owned(),
            server: &plain,
            asked: Asked::Same(&h2load, file.clone()),
        },
        Contender {
            name: "TLS 1.3".to_owned(),
            server: &encrypted,
            asked: Asked::Encrypted(&h2load, file),
        },
    ];
    let found = rounds::run(&contenders, bench.effort())?;
    let note = "One known token, connections that stay. A round has four handshakes in it.";
    bench.report.tables.push(super::table("TLS", note, &found, 0));
    Ok(())
}
