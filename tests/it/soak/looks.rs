//! What a process takes of the machine, looked at from time to time.

use std::io::Write as _;
use std::time::Duration;

/// What a process may take: the tokens that it keeps (280 MiB at most), and everything else.
const MOST_KIB: u64 = 440 * 1024;
/// How much the memory of the last third may be above that of the second, beside a twentieth of it.
const GROWTH_KIB: u64 = 10 * 1024;
/// More threads than this are more than work there is.
const MOST_THREADS: u64 = 64;

/// Strays hold a descriptor for as long as a connection may take to begin, 10 s.
const MOST_DESCRIPTORS: usize = 600;

/// All looks at one process.
pub(super) struct Looks {
    process: u32,
    looks: Vec<Look>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    resident_kib: u64,
    threads: u64,
    descriptors: usize,
}

/// How many descriptors a process has open.
pub(super) fn descriptors(process: u32) -> usize {
    let folder = std::fs::read_dir(format!("/proc/{process}/fd"));
    folder.expect("its descriptors").count()
}

impl Looks {
    pub(super) fn new(process: u32, rate: f64) -> Self {
        say(&format!(
            "asking {rate:.0} times a second, half of what is answered"
        ));
        say("   after s   memory MiB   descriptors   threads    answered   wrong");
        Self {
            process,
            looks: Vec::new(),
        }
    }

    /// Looks, and says what it sees.
    pub(super) fn look(&mut self, after: Duration, answered: usize) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process));
        let status = status.expect("it still runs");
        let number = |field: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).expect("a number")
        };
        let look = Look {
            resident_kib: number("VmRSS:"),
            threads: number("Threads:"),
            descriptors: descriptors(self.process),
        };
        // A wrong verdict ends it at once, so as long as it goes on there is none.
        say(&format!(
            "{:10.0}{:13.1}{:14}{:10}{:12}{:8}",
            after.as_secs_f64(),
            look.resident_kib as f64 / 1024.0,
            look.descriptors,
            look.threads,
            answered,
            0
        ));
        self.looks.push(look);
    }

    /// Fails if something is more than it may be, or, after a long time, still grows.
    pub(super) fn nothing_grows(&self, long: bool) {
        let third = self.looks.len() / 3;
        assert!(third > 2, "too few looks: {:?}", self.looks);
        let (second, last) = (&self.looks[third..2 * third], &self.looks[2 * third..]);
        for look in &self.looks {
            assert!(look.resident_kib < MOST_KIB, "{look:?}");
            assert!(look.threads < MOST_THREADS, "{look:?}");
            assert!(look.descriptors < MOST_DESCRIPTORS, "{look:?}");
        }
        if long {
            let (before, after) = (
                median(second, |look| look.resident_kib),
                median(last, |look| look.resident_kib),
            );
            assert!(
                after <= before + before / 20 + GROWTH_KIB,
                "memory grows: {before} KiB, later {after} KiB"
            );
            let (before, after) = (
                median(second, |look| look.descriptors as u64),
                median(last, |look| look.descriptors as u64),
            );
            assert!(after <= before + 8, "descriptors grow: {before}, later {after}");
        }
    }
}

fn median(looks: &[Look], of: impl Fn(&Look) -> u64) -> u64 {
    let mut numbers: Vec<u64> = looks.iter().map(of).collect();
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
