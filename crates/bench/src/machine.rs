//! What Linux says about processors, processes and the machine.

use std::fs;
use std::process::Command;
use std::time::Duration;

/// The processors that servers run on, and the one that asks them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// How many there are.
    pub(crate) count: usize,
    /// For servers.
    pub(crate) server: usize,
    /// For whatever asks.
    pub(crate) client: usize,
}

impl Cores {
    /// The first for servers and the last for what asks.
    pub(crate) fn find() -> Result<Self, String> {
        let count = std::thread::available_parallelism().map_or(1, Into::into);
        if count < 2 {
            return Err("two processors are needed: one for the server, one for what asks it".to_owned());
        }
        Ok(Self {
            count,
            server: 0,
            client: count - 1,
        })
    }
}

/// Binds this process, and what it starts from now on, to a processor.
pub(crate) fn pin_myself(core: usize) -> Result<(), String> {
    pin(std::process::id(), core)
}

/// Binds a process with all its threads to a processor.
pub(crate) fn pin(process: u32, core: usize) -> Result<(), String> {
    let output = Command::new("taskset")
        .args(["-a", "-p", "-c", &core.to_string(), &process.to_string()])
        .output()
        .map_err(|error| format!("cannot run taskset (of util-linux): {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "taskset: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

/// CPU time of a process so far, user and system, of the threads that are alive and whose name `counts`.
pub(crate) fn cpu(process: u32, counts: impl Fn(&str) -> bool) -> Result<Duration, String> {
    let tasks = format!("/proc/{process}/task");
    let said = |error| format!("{tasks}: {error}");
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir(&tasks).map_err(said)? {
        let task = task.map_err(said)?.path();
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        if counts(name.trim()) {
            nanoseconds += fs::read_to_string(task.join("schedstat"))
                .ok()
                .and_then(|text| on_cpu(&text))
                .ok_or_else(|| format!("{} has no schedstat", task.display()))?;
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The first number of `schedstat`: nanoseconds on a processor.
fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// CPU time of a process so far, of threads that ended too, in the kernel's ticks of 10 ms.
pub(crate) fn cpu_with_the_dead(process: u32) -> Result<Duration, String> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    ticks(&text)
        .map(|ticks| Duration::from_millis(10 * ticks))
        .ok_or_else(|| format!("{path} cannot be read: {text}"))
}

/// `utime` + `stime` of `/proc/PID/stat`; the name of the program before them may have spaces in it.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    Some(user + fields.next()?.parse::<u64>().ok()?)
}

/// A line of `/proc/PID/status` in MB: `VmHWM` (the most there ever was in memory) or `VmRSS` (now).
pub(crate) fn memory(process: u32, line: &str) -> Result<f64, String> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    kilobytes(&text, line)
        .map(|kilobytes| kilobytes as f64 / 1024.0)
        .ok_or_else(|| format!("{path} has no {line}"))
}

fn kilobytes(status: &str, line: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The machine, for the head of a report.
pub(crate) fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "{cores} x {model}, Linux {}, load {load} at the beginning",
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::{kilobytes, on_cpu, ticks};

    #[test]
    fn what_linux_writes() {
        assert_eq!(on_cpu("82344 1234 99\n"), Some(82_344));
        assert_eq!(on_cpu(""), None);
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 12 3 0 0 20 0 4 0 100 1 1";
        assert_eq!(ticks(stat), Some(15));
        assert_eq!(ticks("7 (a"), None);
        let status = "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t    10 kB\n";
        assert_eq!(kilobytes(status, "VmHWM"), Some(2048));
        assert_eq!(kilobytes(status, "VmSwap"), None);
    }
}
