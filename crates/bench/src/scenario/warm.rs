//! One known token: the whole decision beside a server that only says yes.

use crate::Bench;
use crate::callgrind;
use crate::folder::{Places, Policies, Setup};
use crate::load::Verdict;
use crate::material::{NOT_HERS, message};
use crate::report::Table;
use crate::rounds::{self, Asked, Contender};
use crate::server::{Program, Server};
use crate::targets::amount;
use crate::tools::{H2LOAD, Tool, VALGRIND};
use std::path::{Path, PathBuf};

const TONIC: &str = "stock tonic no-op";
const OURS: &str = "no-op behind our transport";

/// The servers of the comparison, of `portcullis` the configurations.
fn configurations(bench: &Bench) -> Result<[(&'static str, Places); 4], String> {
    let configure = |name: &'static str, folder: &str, policies: Policies, record: bool| {
        let mut setup = Setup::new(policies);
        setup.record = record;
        Ok::<_, String>((name, bench.configure(folder, &setup)?))
    };
    Ok([
        configure(
            "one condition (10 links)",
            "condition",
            Policies::Condition { links: 10 },
            true,
        )?,
        configure(
            "scopes alone (10 links)",
            "scope",
            Policies::ScopeOnly { links: 10 },
            true,
        )?,
        configure("default pack", "default", Policies::DefaultPack, true)?,
        configure(
            "one condition, no decision record",
            "unrecorded",
            Policies::Condition { links: 10 },
            false,
        )?,
    ])
}

/// A real answer, in a file: what the no-ops answer, too.
fn answer(bench: &Bench, places: &Places, asked: &[u8]) -> Result<PathBuf, String> {
    let server = bench.start("sample", &Program::Portcullis(places))?;
    let answer = super::expect(&server, asked, Verdict::Allowed)?;
    bench.file("answer.bin", &answer)
}

pub(super) fn cpu(bench: &mut Bench) -> Result<(), String> {
    let h2load = Tool::find(&H2LOAD)?;
    let asked = super::hers(bench, 0);
    let denied = message(NOT_HERS, &bench.issuer.token(0));
    let file = bench.file("warm.msg", &asked)?;
    let denied_file = bench.file("denied.msg", &denied)?;
    let configurations = configurations(bench)?;
    let answer = match configurations.first() {
        Some((_, places)) => answer(bench, places, &asked)?,
        None => return Err("no configuration".to_owned()),
    };
    let tonic = bench.start("tonic", &Program::Yardstick("tonic", &answer))?;
    let ours = bench.start("ours", &Program::Yardstick("ours", &answer))?;
    let mut servers: Vec<(&str, Server)> = vec![(TONIC, tonic), (OURS, ours)];
    for (name, places) in &configurations {
        let folder = places.config.parent().unwrap_or(Path::new("")).file_name();
        let folder = folder.unwrap_or_default().to_string_lossy().into_owned();
        servers.push((name, bench.start(&folder, &Program::Portcullis(places))?));
    }
    for (_, server) in &servers {
        super::expect(server, &asked, Verdict::Allowed)?;
    }
    let mut contenders: Vec<Contender<'_>> = servers
        .iter()
        .map(|(name, server)| Contender {
            name: (*name).to_owned(),
            server,
            asked: Asked::Same(&h2load, file.clone()),
        })
        .collect();
    if let Some((_, server)) = servers.get(4) {
        super::expect(server, &denied, Verdict::Denied)?;
        contenders.push(Contender {
            name: "default pack, a denial".to_owned(),
            server,
            asked: Asked::Same(&h2load, denied_file),
        });
    }
    let found = rounds::run(&contenders, bench.effort())?;
    let mut dropped = 0.0;
    for (_, server) in servers.iter().filter(|(_, server)| server.admin.is_some()) {
        dropped += server
            .metric(r#"portcullis_decision_records_dropped_total{sink="queue"}"#)
            .unwrap_or(0.0);
    }
    let note = format!(
        "Ratio to the stock tonic no-op: the middle of the ratios of all rounds. CPU, rate and p50 are those of the best \
         round, p99 the middle one. 4 connections with 32 questions each; all records go to `/dev/null`, {} were dropped.",
        amount(dropped, ""),
    );
    bench
        .report
        .tables
        .push(super::table("A known token", &note, &found, 0));
    if let [tonic, ours, condition, scope, pack, _, denial] = &found[..] {
        for (name, value) in [
            ("warm/of-tonic", condition.ratio(tonic)),
            ("warm/of-ours", condition.ratio(ours)),
            ("scope/of-tonic", scope.ratio(tonic)),
            ("scope/of-ours", scope.ratio(ours)),
            ("pack/of-tonic", pack.ratio(tonic)),
            ("denial/of-tonic", denial.ratio(tonic)),
            ("ours/of-tonic", ours.ratio(tonic)),
            ("warm/cpu-us", condition.least_cpu()),
            ("tonic/cpu-us", tonic.least_cpu()),
        ] {
            bench.report.measure(name, value);
        }
        let per_second = condition.per_second.iter().copied().fold(0.0, f64::max);
        bench.report.measure("warm/per-second", per_second);
    }
    Ok(())
}

pub(super) fn instructions(bench: &mut Bench) -> Result<(), String> {
    let (h2load, valgrind) = (Tool::find(&H2LOAD)?, Tool::find(&VALGRIND)?);
    let asked = super::hers(bench, 0);
    let file = bench.file("counted.msg", &asked)?;
    let configurations = configurations(bench)?;
    let answer = match configurations.first() {
        Some((_, places)) => answer(bench, places, &asked)?,
        None => return Err("no configuration".to_owned()),
    };
    let denied = message(NOT_HERS, &bench.issuer.token(0));
    let denied = bench.file("counted-denied.msg", &denied)?;
    let [condition, scope, pack, unrecorded] = &configurations;
    let programs = [
        (TONIC, "tonic", Program::Yardstick("tonic", &answer), &file),
        (OURS, "ours", Program::Yardstick("ours", &answer), &file),
        (condition.0, "warm", Program::Portcullis(&condition.1), &file),
        (scope.0, "scope", Program::Portcullis(&scope.1), &file),
        (pack.0, "pack", Program::Portcullis(&pack.1), &file),
        (
            unrecorded.0,
            "unrecorded",
            Program::Portcullis(&unrecorded.1),
            &file,
        ),
        (
            "default pack, a denial",
            "denial",
            Program::Portcullis(&pack.1),
            &denied,
        ),
    ];
    let requests = if bench.quick { 1_000 } else { 4_000 };
    let mut table = Table::new(
        "User instructions a check",
        "Of all threads of the server, counted by callgrind. The kernel's are not in it.",
        &["", "instructions", "ratio"],
    );
    let mut base = 0.0;
    for (name, measure, program, file) in programs {
        let core = bench.cores.server;
        let tools = (&valgrind, &h2load);
        let counted = callgrind::instructions(tools, &bench.binaries, &program, core, file, requests)?;
        if base == 0.0 {
            base = counted;
        }
        table.row([
            name.to_owned(),
            amount(counted, ""),
            format!("{:.2}", counted / base),
        ]);
        bench.report.measure(&format!("instructions/{measure}"), counted);
        eprintln!("  {name}: {counted:.0}");
    }
    bench.report.tables.push(table);
    Ok(())
}
