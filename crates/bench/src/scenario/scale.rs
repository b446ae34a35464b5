//! Many policies, many routes, many groups: what must not cost a check anything.

use crate::Bench;
use crate::folder::{Policies, Setup};
use crate::load::Verdict;
use crate::material::{HERS, message, payload_bytes};
use crate::rounds::{self, Asked, Contender, Found};
use crate::tools::{H2LOAD, Tool};

pub(super) fn policies(bench: &mut Bench) -> Result<(), String> {
    let counts: &[usize] = if bench.quick {
        &[10, 100_000]
    } else {
        &[10, 100, 1_000, 10_000, 100_000]
    };
    let asked = super::hers(bench, 0);
    let of = |count: usize| {
        let policies = Policies::Condition { links: count };
        (format!("{count} links"), Setup::new(policies), asked.clone())
    };
    let found = compare(
        bench,
        "policies",
        &counts.iter().copied().map(of).collect::<Vec<_>>(),
    )?;
    let note = "Links of one template, and a policy with a condition, which is the one that permits. Ratio to the first row.";
    bench
        .report
        .tables
        .push(super::table("Policies", note, &found, 0));
    if let [few, .., many] = &found[..] {
        bench.report.measure("policies/flat", many.ratio(few));
    }
    Ok(())
}

pub(super) fn routes(bench: &mut Bench) -> Result<(), String> {
    let asked = super::hers(bench, 0);
    let setup = |more_routes| Setup {
        more_routes,
        ..Setup::new(Policies::Condition { links: 10 })
    };
    let found = compare(
        bench,
        "routes",
        &[
            ("6 routes".to_owned(), setup(0), asked.clone()),
            ("10,000 more".to_owned(), setup(10_000), asked),
        ],
    )?;
    bench.report.tables.push(super::table("Routes", "", &found, 0));
    if let [few, many] = &found[..] {
        bench.report.measure("routes/ratio", many.ratio(few));
    }
    Ok(())
}

pub(super) fn groups(bench: &mut Bench) -> Result<(), String> {
    let named: Vec<String> = (0..50).map(|number| format!("g{number:03}")).collect();
    // With Alice's own, as many as a token may have.
    let others = (0..999).map(|number| format!("/g{number:03}"));
    let many: Vec<String> = others.chain(["/ws-alice".to_owned()]).collect();
    let few = ["/ws-alice".to_owned(), "/staff".to_owned()];
    let with_many = bench.issuer.token_with_groups(&many, 0);
    let missing = payload_bytes(&with_many).saturating_sub(payload_bytes(&bench.issuer.token(0)));
    let padded = bench.issuer.token_with_groups(&few, missing.saturating_sub(10));
    let setup = Setup::new(Policies::Groups { named });
    let untold = Setup {
        tells_groups: false,
        ..setup.clone()
    };
    let found = compare(
        bench,
        "groups",
        &[
            ("2 groups".to_owned(), setup.clone(), super::hers(bench, 0)),
            (
                "2 groups, the token as long as the next".to_owned(),
                setup.clone(),
                message(HERS, &padded),
            ),
            ("1,000 groups".to_owned(), setup, message(HERS, &with_many)),
            (
                "the same, and no header tells the upstream".to_owned(),
                untold,
                message(HERS, &with_many),
            ),
        ],
    )?;
    let note = format!(
        "A token with 1,000 groups has {} bytes, one with two {}. Grants by scopes, to 50 of the groups and to the one that counts. \
         Ratio to the second row, for a longer message costs more whatever is in it; and so does a longer answer: a header with all \
         groups has 5 KB.",
        with_many.len(),
        bench.issuer.token(0).len(),
    );
    bench.report.tables.push(super::table("Groups", &note, &found, 1));
    if let [_, padded, many, untold] = &found[..] {
        bench.report.measure("groups/ratio", many.ratio(padded));
        bench.report.measure("groups/untold-ratio", untold.ratio(padded));
    }
    Ok(())
}

/// One server for each row, asked in turn.
fn compare(bench: &Bench, what: &str, rows: &[(String, Setup, Vec<u8>)]) -> Result<Vec<Found>, String> {
    let h2load = Tool::find(&H2LOAD)?;
    let mut servers = Vec::new();
    for (number, (_, setup, message)) in rows.iter().enumerate() {
        let name = format!("{what}-{number}");
        let server = bench.portcullis(&name, setup)?;
        super::expect(&server, message, Verdict::Allowed)?;
        servers.push((server, bench.file(&format!("{name}.msg"), message)?));
    }
    let contenders: Vec<Contender<'_>> = rows
        .iter()
        .zip(&servers)
        .map(|((name, ..), (server, file))| Contender {
            name: name.clone(),
            server,
            asked: Asked::Same(&h2load, file.clone()),
        })
        .collect();
    rounds::run(&contenders, bench.effort())
}
