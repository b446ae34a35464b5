//! User instructions of a whole server per check, counted by valgrind: the one number that a busy machine cannot move.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::h2load;
use crate::rounds::CROWD;
use crate::server::{Binaries, Program, Server};
use crate::tools::Tool;

/// Enough for caches to be warm and counts to settle: they differ by less than one in a hundred from run to run.
const WARM_UP: usize = 300;

/// Starts the program under callgrind, warms it up, and counts while it is asked `requests` times.
pub(crate) fn instructions(
    (valgrind, h2load): (&Tool, &Tool),
    binaries: &Binaries,
    program: &Program<'_>,
    core: usize,
    message: &Path,
    requests: usize,
) -> Result<f64, String> {
    let out = message.with_extension("callgrind");
    let mut wrapper: Vec<OsString> = vec!["env".into()];
    for (name, value) in valgrind.environment() {
        let mut word = OsString::from(format!("{name}="));
        word.push(value);
        wrapper.push(word);
    }
    wrapper.push(valgrind.program().into());
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(&out);
    wrapper.extend(["--tool=callgrind".into(), "--instr-atstart=no".into(), file]);
    let log = message.with_extension("callgrind-log");
    let server = Server::start(binaries, program, &core.to_string(), &wrapper, log)?;
    h2load::run(h2load, ("http", server.grpc), message, CROWD, WARM_UP)?;
    settle(&server)?;
    control(valgrind, server.id(), "--instr=on")?;
    h2load::run(h2load, ("http", server.grpc), message, CROWD, requests)?;
    thread::sleep(Duration::from_millis(300));
    control(valgrind, server.id(), "--dump")?;
    let dump = out.with_extension("callgrind.1");
    let total = wait_for(&dump)?;
    Ok(total as f64 / requests as f64)
}

/// Waits until the server does nothing any more: what begins with it, such as gathering entropy, is no part of a check.
fn settle(server: &Server) -> Result<(), String> {
    let begun = Instant::now();
    let mut before = server.cpu()?;
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = server.cpu()?;
        if now.saturating_sub(before) < Duration::from_millis(20) {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(60) {
            return Err("the server does not come to rest".to_owned());
        }
        before = now;
    }
}

fn control(valgrind: &Tool, process: u32, what: &str) -> Result<(), String> {
    let beside = valgrind.program().with_file_name("callgrind_control");
    let output = Command::new(&beside)
        .envs(valgrind.environment())
        .arg(what)
        .arg(process.to_string())
        .output()
        .map_err(|error| format!("{}: {error}", beside.display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "callgrind_control {what}: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn wait_for(dump: &Path) -> Result<u64, String> {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(dump).unwrap_or_default();
        if let Some(total) = total(&text) {
            return Ok(total);
        }
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(format!("callgrind wrote no {}", dump.display()));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The sum of what callgrind counted: `summary:` or `totals:`, whichever is there.
fn total(dump: &str) -> Option<u64> {
    dump.lines()
        .rev()
        .find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn totals_of_a_dump() {
        assert_eq!(
            super::total("summary: 12\nfn=(1)\n1 12\n\ntotals: 12345\n"),
            Some(12_345)
        );
        assert_eq!(super::total("version: 1\n"), None);
    }
}
