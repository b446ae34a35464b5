//! What the system knows of this process, under the names that every exporter uses for it. Linux only; elsewhere nothing.

use std::fmt::Error;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::page::Page;

/// The unit of times in `/proc`, a hundredth of a second: fixed for programs, whatever the kernel counts by.
const TICKS: f64 = 100.0;
/// More file descriptors are not counted: a look must end.
const MOST: usize = 100_000;

/// Reads `/proc` at each scrape.
#[derive(Debug)]
pub(super) struct Process;

/// What was read.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    cpu_seconds: Option<f64>,
    started: Option<f64>,
    resident: Option<u64>,
    virtual_: Option<u64>,
    threads: Option<u64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let fds = fs::read_dir("/proc/self/fd").map(|fds| fds.take(MOST).count() as u64);
        let reading = Reading {
            // The look itself has one open.
            open_fds: fds.ok().map(|fds| fds.saturating_sub(1)),
            ..Reading::of(
                &read("/proc/self/stat"),
                &read("/proc/self/status"),
                &read("/proc/self/limits"),
                &read("/proc/stat"),
            )
        };
        reading.write(&mut Page(encoder))
    }
}

impl Reading {
    fn of(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The name of the program stands in parentheses and may have blanks; the numbers behind it begin with the third.
        let numbers: Vec<&str> = stat
            .rsplit_once(')')
            .map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().collect());
        let field = |number: usize| numbers.get(number - 3)?.parse::<f64>().ok();
        let line = |text: &str, name: &str| -> Option<u64> {
            let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let kilobytes = |name| line(status, name)?.checked_mul(1024);
        Self {
            cpu_seconds: field(14)
                .zip(field(15))
                .map(|(user, system)| (user + system) / TICKS),
            started: field(22)
                .zip(line(system, "btime "))
                .map(|(ticks, booted)| booted as f64 + ticks / TICKS),
            resident: kilobytes("VmRSS:"),
            virtual_: kilobytes("VmSize:"),
            threads: line(status, "Threads:"),
            open_fds: None,
            max_fds: line(limits, "Max open files"),
        }
    }

    fn write(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let some = |value: Option<u64>| value.map(|value| ([], value));
        page.counters(
            "process_cpu_seconds",
            "Time on processors, in user and system mode",
            self.cpu_seconds.map(|value| ([], value)),
        )?;
        page.gauges(
            "process_start_time_seconds",
            "When the process started, in Unix seconds",
            self.started.map(|value| ([], value)),
        )?;
        page.gauges(
            "process_resident_memory_bytes",
            "Memory that is in RAM",
            some(self.resident),
        )?;
        page.gauges(
            "process_virtual_memory_bytes",
            "Memory by addresses",
            some(self.virtual_),
        )?;
        page.gauges("process_threads", "Threads", some(self.threads))?;
        page.gauges("process_open_fds", "Open file descriptors", some(self.open_fds))?;
        page.gauges(
            "process_max_fds",
            "File descriptors that may be open",
            some(self.max_fds),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 700 123 45 18446744073709551615";
        let status = "Name:\ta\nVmSize:\t  2000 kB\nVmRSS:\t    1000 kB\nThreads:\t9\n";
        let limits =
            "Limit Soft Hard\nMax open files            1024                 524288               files\n";
        let reading = Reading::of(stat, status, limits, "cpu 1 2\nbtime 1000000\n");
        let expected = Reading {
            cpu_seconds: Some(2.0),
            started: Some(1_000_007.0),
            resident: Some(1_024_000),
            virtual_: Some(2_048_000),
            threads: Some(9),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(reading, expected);
        assert_eq!(Reading::of("", "", "", ""), Reading::default());
        assert_eq!(
            Reading::of("1 (x) S", "VmRSS: many", "Max open files unlimited", "btime"),
            Reading::default()
        );
    }
}
