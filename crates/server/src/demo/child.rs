//! Child processes that cannot outlive this one, not even when it is killed with SIGKILL.
//!
//! The child leads a process group of its own, with a one-line shell in it that reads from a pipe whose other end only
//! this process holds. When the pipe closes, for whatever reason, the shell kills the group, itself included. Linux has
//! `PR_SET_PDEATHSIG` for this, but setting it in the child needs `unsafe`. POSIX only.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The pipe becomes descriptor 3 first, because a shell gives its background jobs /dev/null as standard input. `$$` is
/// the shell that starts all this, hence, after `exec`, the program: its process and group id.
const SCRIPT: &str = r#"
exec 3<&0
(read -r _ <&3; kill -s KILL -- -$$) >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
"#;

/// A running child with all that it started; dropping it kills them and waits until the child is gone.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
}

impl Guarded {
    /// Starts a program with an empty standard input and both its outputs written to `log`, which is emptied first.
    ///
    /// A program that does not exist is seen as an exit with status 127 and a line in the log.
    pub fn spawn<I>(program: &Path, arguments: I, log: &Path) -> io::Result<Self>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let out = File::create(log)?;
        let err = out.try_clone()?;
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "portcullis-child"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()?;
        Ok(Self { child })
    }

    /// Its process id, which is also its group's.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has ended by itself.
    pub fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Closing the pipe kills the group; killing the child as well covers a shell that someone else has killed.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log, for an error message; empty if there is no such file.
pub fn tail(log: &Path, lines: usize) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&bytes), lines)
}

pub(super) fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::scratch::ScratchDir;
    use super::*;

    #[test]
    fn dropping_a_child_kills_what_it_started_too() {
        let dir = ScratchDir::new("child-test").unwrap();
        let log = dir.path().join("log");
        let child = Guarded::spawn(Path::new("/bin/sh"), ["-c", "sleep 60 & echo $!; wait"], &log).unwrap();
        let within = |what: &str, holds: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(5);
            while !holds() {
                assert!(Instant::now() < deadline, "{what}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        within("the child did not start", &|| {
            tail(&log, 1).parse::<u32>().is_ok()
        });
        // A process that ended and that nobody asked for yet is still listed, as a zombie.
        let stat = format!("/proc/{}/stat", tail(&log, 1));
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        assert!(lives(), "the grandchild did not start");
        drop(child);
        within("the grandchild lives", &|| !lives());
    }

    #[test]
    fn a_missing_program_is_an_exit() {
        let dir = ScratchDir::new("child-test").unwrap();
        let log = dir.path().join("log");
        let mut child = Guarded::spawn(Path::new("/nowhere/program"), [""; 0], &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let status = loop {
            if let Some(status) = child.exited().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the child did not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(127));
        assert!(tail(&log, 5).contains("/nowhere/program"));
    }
}
