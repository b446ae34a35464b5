//! Counts what `cargo test` reports, line by line, while the lines pass through.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long the end of the tests' output may come after the end of `cargo test`.
const STDOUT_CLOSES: Duration = Duration::from_secs(5);

/// How many tests passed and failed, and which did not run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// `name: why`, one per test that did not run.
    pub(crate) skipped: Vec<String>,
    /// Ignored tests that were named since the last result line.
    named: usize,
    /// How many tests a binary began that has not given its result yet.
    running: Option<usize>,
}

impl Tally {
    /// Runs `cargo test`, shows what it says and counts.
    pub(crate) fn run(mut command: Command) -> Result<(ExitStatus, Self), String> {
        let program = command.get_program().display().to_string();
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let stdout = child.stdout.take().ok_or("the tests have no stdout")?;
        let (sender, counted) = mpsc::channel();
        thread::spawn(move || sender.send(Self::of(BufReader::new(stdout), io::stdout())));
        let status = child.wait().map_err(|error| error.to_string())?;
        // A process that a test forgot keeps the pipe open: without a limit this would wait as long as that lives.
        let tally = counted
            .recv_timeout(STDOUT_CLOSES)
            .map_err(|_| "the tests ended, but a process that they started still runs")?
            .map_err(|error| error.to_string())?;
        Ok((status, tally))
    }

    /// Copies `from` to `to` as it comes and counts. The lines need not be UTF-8.
    pub(crate) fn of(mut from: impl BufRead, mut to: impl Write) -> io::Result<Self> {
        let mut tally = Self::default();
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line)? > 0 {
            to.write_all(&line)?;
            to.flush()?;
            tally.line(String::from_utf8_lossy(&line).trim());
            line.clear();
        }
        tally.end(0);
        Ok(tally)
    }

    /// Whether exactly so many tests ran, and passed: a filter that finds nothing is no success. An empty error means: the
    /// tests have said it.
    pub(crate) fn all_passed(&self, status: ExitStatus, number: usize) -> Result<(), String> {
        match (status.success(), self.failed, self.passed) {
            (true, 0, passed) if passed == number => Ok(()),
            (true, 0, passed) => Err(format!("{passed} tests have run, and not {number}")),
            _ => Err(String::new()),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }

    /// The binary that is running has ended, with so many results. Tests without one have failed.
    fn end(&mut self, results: usize) {
        self.failed += self.running.take().unwrap_or(0).saturating_sub(results);
    }

    fn line(&mut self, line: &str) {
        if let Some(number) = begun(line) {
            self.end(0);
            self.running = Some(number);
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            let kinds = ["passed", "failed", "ignored", "measured"];
            self.end(kinds.iter().map(|kind| count(counts, kind)).sum());
            // A name can be lost when a child process writes into the same line; the number cannot.
            let unnamed = count(counts, "ignored").saturating_sub(self.named);
            self.skipped
                .extend((0..unnamed).map(|_| "a test without a name: ignored".to_owned()));
            self.named = 0;
        } else if let Some((name, why)) = ignored(line) {
            self.skipped.push(format!("{name}: {why}"));
            self.named += 1;
        }
    }
}

/// `running 12 tests`: the number.
fn begun(line: &str) -> Option<usize> {
    let (number, what) = line.strip_prefix("running ")?.split_once(' ')?;
    let is_it = matches!(what, "test" | "tests");
    number.parse().ok().filter(|_| is_it)
}

/// `ok. 3 passed; 1 failed; 0 ignored; ...`: the number before `word`, 0 when there is none.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split(['.', ';'])
        .filter_map(|part| part.trim().split_once(' '))
        .find(|(_, what)| *what == word)
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

/// `test name ... ignored` or `test name ... ignored, why`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match result.strip_prefix("ignored")? {
        "" => Some((name, "ignored")),
        why => Some((name, why.strip_prefix(", ")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn check(output: &str, passed: usize, failed: usize, skipped: &[&str]) {
        let mut copied = Vec::new();
        let tally = Tally::of(output.as_bytes(), &mut copied).unwrap();
        assert_eq!(copied, output.as_bytes());
        assert_eq!((tally.passed, tally.failed), (passed, failed), "{output}");
        assert_eq!(tally.skipped, skipped, "{output}");
    }

    #[test]
    fn output_of_cargo_test() {
        const OK: &str = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.02s\n";
        const FAILED: &str = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        const IGNORED: &str =
            "test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        check("", 0, 0, &[]);
        // A binary that ends early gives no result.
        check("running 12 tests\ntest a ... ok\n", 0, 12, &[]);
        check(&["running 12 tests\n", OK].concat(), 12, 0, &[]);
        check(
            &["running 1 test\n", "running 13 tests\n", OK].concat(),
            12,
            2,
            &[],
        );
        check(
            &["running 2 tests\n", IGNORED].concat(),
            1,
            0,
            &["a test without a name: ignored"],
        );
        check("running late\nrunning 3 rounds\n", 0, 0, &[]);
        check(OK, 12, 0, &[]);
        check(FAILED, 4, 2, &[]);
        check(&[OK, FAILED].concat(), 16, 2, &[]);
        check(
            &["test a::b ... ignored\n", IGNORED].concat(),
            1,
            0,
            &["a::b: ignored"],
        );
        check(
            &["test a ... ignored, slow\n", IGNORED].concat(),
            1,
            0,
            &["a: slow"],
        );
        check(IGNORED, 1, 0, &["a test without a name: ignored"]);
        check(
            &["test a - (line 3) ... ignored\n", IGNORED, OK].concat(),
            13,
            0,
            &["a - (line 3): ignored"],
        );
        check("says: test result: ok. 1 passed; 0 failed\n", 0, 0, &[]);
    }

    #[test]
    fn a_filter_that_finds_nothing_is_no_success() {
        use std::os::unix::process::ExitStatusExt as _;
        for (passed, failed, status, expected) in [
            (1, 0, 0, Ok(())),
            (0, 0, 0, Err("0 tests have run, and not 1".to_owned())),
            (1, 1, 0, Err(String::new())),
            (1, 0, 1, Err(String::new())),
        ] {
            let tally = Tally {
                passed,
                failed,
                ..Tally::default()
            };
            let status = std::process::ExitStatus::from_raw(status);
            assert_eq!(tally.all_passed(status, 1), expected, "{tally:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_text() {
        let output = b"\xff\xfe\ntest result: ok. 1 passed; 0 failed\n";
        let tally = Tally::of(&output[..], Vec::new()).unwrap();
        assert_eq!((tally.passed, tally.failed), (1, 0));
    }
}
