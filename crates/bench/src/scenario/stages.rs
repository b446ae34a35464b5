//! Where the time goes inside, and allocations: the benchmarks of `tests/benches`, built as what is shipped is.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Bench;
use crate::report::Table;

/// What is run, and which rows are kept of it.
const BENCHES: [(&str, &str); 2] = [("stages", ""), ("policies", "linked_")];

pub(super) fn stages(bench: &mut Bench) -> Result<(), String> {
    let mut table = Table::new(
        "Stages",
        "The fastest of the samples of `cargo bench -p tests --bench stages` and `--bench policies`, without transport, with the system's \
         allocator, which is slower than that of the server. `e_whole_and_record` less `d_whole` is the record.",
        &["", "time", "allocations"],
    );
    let all = format!("0-{}", bench.cores.count - 1);
    for (name, filter) in BENCHES {
        let mut cargo = Command::new("taskset");
        cargo.args(["-c", &all]);
        cargo.arg(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "bench",
            "--quiet",
            "--locked",
            "--profile",
            "dist",
            "--package",
            "tests",
        ]);
        cargo
            .args(["--bench", name, "--"])
            .args((!filter.is_empty()).then_some(filter));
        let output = cargo
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run cargo bench: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let rows = rows(&said);
        if !output.status.success() || rows.is_empty() {
            return Err(format!("`cargo bench --bench {name}` says:\n{said}"));
        }
        for Row {
            name,
            time,
            allocations,
        } in rows
        {
            let measure = match name.as_str() {
                "linked_conditions 1000" => Some("allocations/conditions"),
                "linked_scope 1000" => Some("allocations/scope"),
                "d_whole" => Some("allocations/whole"),
                "e_whole_and_record" => Some("allocations/whole-and-record"),
                _ => None,
            };
            if let Some(measure) = measure {
                bench.report.measure(measure, allocations);
            }
            table.row([name, time, allocations.to_string()]);
        }
    }
    bench.report.tables.push(table);
    Ok(())
}

/// One benchmark.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    time: String,
    allocations: f64,
}

/// Reads the tree that divan prints: a line with times for each benchmark, and below it `alloc:` and how many.
fn rows(output: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut group = String::new();
    let mut lines = output
        .lines()
        .skip_while(|line| !line.contains("fastest"))
        .skip(1);
    while let Some(line) = lines.next() {
        // The tree is drawn with the same bar that separates columns.
        let text = line.trim_start_matches(['│', ' ']);
        let nested = line
            .chars()
            .next()
            .is_some_and(|first| first == '│' || first == ' ');
        let Some(entry) = text.strip_prefix("├─ ").or(text.strip_prefix("╰─ ")) else {
            if text.starts_with("alloc:")
                && let Some(count) = lines.next().and_then(first_column)
                && let Some(row) = rows.last_mut()
            {
                row.allocations = count.parse().unwrap_or(f64::NAN);
            }
            continue;
        };
        let (name, rest) = entry.split_once(' ').unwrap_or((entry, ""));
        match first_column(rest) {
            Some(time) if !time.is_empty() => rows.push(Row {
                name: if nested {
                    format!("{group} {name}")
                } else {
                    name.to_owned()
                },
                time,
                allocations: 0.0,
            }),
            _ => group = name.to_owned(),
        }
    }
    rows
}

/// What stands before the first bar between columns.
fn first_column(line: &str) -> Option<String> {
    let text = line.trim_start_matches(['│', ' ']);
    Some(text.split('│').next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Row, rows};

    #[test]
    fn output_of_divan() {
        let output = "\
Timer precision: 20 ns
policies              fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ a_whole            9.58 µs       │ 51 µs         │ 9.8 µs        │ 10 µs         │ 100     │ 100
│                     alloc:        │               │               │               │         │
│                       62          │ 62            │ 62            │ 62            │         │
│                       5.4 KB      │ 5.4 KB        │ 5.4 KB        │ 5.4 KB        │         │
╰─ linked_scope                     │               │               │               │         │
   ├─ 1               258.1 ns      │ 375 ns        │ 260 ns        │ 261 ns        │ 100     │ 3200
   ╰─ 1000            250.1 ns      │ 375 ns        │ 260 ns        │ 261 ns        │ 100     │ 3200
";
        let row = |name: &str, time: &str, allocations| Row {
            name: name.to_owned(),
            time: time.to_owned(),
            allocations,
        };
        assert_eq!(
            rows(output),
            [
                row("a_whole", "9.58 µs", 62.0),
                row("linked_scope 1", "258.1 ns", 0.0),
                row("linked_scope 1000", "250.1 ns", 0.0),
            ]
        );
    }
}
