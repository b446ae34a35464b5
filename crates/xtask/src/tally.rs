//! Counts what `cargo test` reports, line by line, while the lines pass through.

use std::io::{self, BufRead, Write};

/// How many tests passed and failed, and which did not run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// `name: why`, one per test that did not run.
    pub(crate) skipped: Vec<String>,
    /// Ignored tests that were named since the last result line.
    named: usize,
}

impl Tally {
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
        Ok(tally)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }

    fn line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
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
        check("running 12 tests\ntest a ... ok\n", 0, 0, &[]);
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
    fn bytes_that_are_not_text() {
        let output = b"\xff\xfe\ntest result: ok. 1 passed; 0 failed\n";
        let tally = Tally::of(&output[..], Vec::new()).unwrap();
        assert_eq!((tally.passed, tally.failed), (1, 0));
    }
}
