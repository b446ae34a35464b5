//! What was acknowledged survives the end of the process in that moment, and a disk that is full is no acknowledgement.
//!
//! `cargo xtask kill-rounds` runs many more rounds.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use portcullis::demo::scratch::ScratchDir;

use super::postgres::PostgresServer;
use super::replica::Replica;

/// Where the process that is killed finds its store. It is this program again, with this in its environment.
const STORE: &str = "TESTS_STORE";
/// How many rounds, if not as few as fit into a test.
const ROUNDS: &str = "TESTS_KILL_ROUNDS";

fn rounds() -> u32 {
    std::env::var(ROUNDS).map_or(20, |rounds| rounds.parse().expect("a number of rounds"))
}

#[tokio::test]
async fn acknowledged_revocations_in_a_file_survive_kill_9() {
    if let Ok(url) = std::env::var(STORE) {
        return be_the_process_that_revokes(&url).await;
    }
    let dir = ScratchDir::new("kill").expect("a folder");
    let file = dir.path().join("house.db");
    let url = format!("sqlite:{}", file.display());
    kill_rounds(&url, rounds()).await;
    for name in ["house.db", "house.db-wal", "house.db-shm"] {
        // Those beside the file are gone when it was closed in order.
        if let Ok(data) = fs::metadata(dir.path().join(name)) {
            assert_eq!(data.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}

#[tokio::test]
async fn acknowledged_revocations_on_a_server_survive_kill_9() {
    let Some(mut server) = PostgresServer::start().await else {
        return;
    };
    let url = server.database("house");
    kill_rounds(&url, rounds()).await;
    // And the end of the server in that moment.
    for round in 0..rounds().div_ceil(10) {
        let replica = Replica::start(&url).await;
        let id = format!("server-{round}");
        replica.revoke_token(&id).await.expect("a revocation");
        server.kill();
        drop(replica);
        server.run().await;
        let replica = Replica::start(&url).await;
        assert!(!replica.allows(&id), "{id} was acknowledged");
        assert!(!replica.allows("0-0"), "and all before");
    }
}

#[tokio::test]
async fn a_full_disk_is_no_acknowledgement() {
    let dir = ScratchDir::new("full").expect("a folder");
    let url = format!("sqlite:{}/house.db", dir.path().display());
    Replica::start(&url)
        .await
        .revoke_token("before")
        .await
        .expect("a revocation");
    // No file of this process may get longer than that, in blocks of 512 bytes, and being told so does not end it.
    let mut process = Process::start(&url, "trap '' XFSZ; ulimit -f 1024");
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for number in 0..4000 {
        let id = format!("{number}-{}", "x".repeat(900));
        match process.revoke(&id) {
            Ok(()) => kept.push(id),
            Err(error) => {
                assert!(error.starts_with("the store"), "{error}");
                refused.push(id);
            }
        }
        if refused.len() > 3 {
            break;
        }
    }
    assert!(
        !kept.is_empty() && !refused.is_empty(),
        "{} and {}",
        kept.len(),
        refused.len()
    );
    process.kill();
    let replica = Replica::start(&url).await;
    assert!(
        kept.iter().all(|id| !replica.allows(id)),
        "what was acknowledged is there"
    );
    assert!(!replica.allows("before"));
}

/// Kills a process right after it acknowledged a revocation, and while it makes more of them; what it acknowledged is there.
async fn kill_rounds(url: &str, rounds: u32) {
    let witness = Replica::start(url).await;
    let mut kept = Vec::new();
    for round in 0..rounds {
        let mut process = Process::start(url, "umask 000");
        for number in 0..=round % 3 {
            let id = format!("{round}-{number}");
            process.revoke(&id).expect("a revocation");
            kept.push(id);
        }
        // Half of the time in the middle of another one.
        if round % 2 == 1 {
            process.ask(&format!("{round}-unheard"));
        }
        process.kill();
        let replica = Replica::start(url).await;
        for id in &kept {
            assert!(!replica.allows(id), "round {round}: {id} was acknowledged");
        }
    }
    crate::house::until("another process knows all", async || {
        kept.iter().all(|id| !witness.allows(id))
    })
    .await;
}

/// A process that revokes tokens.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(url: &str, shell: &str) -> Self {
        let this = std::env::current_exe().expect("this program");
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("{shell}; exec \"$@\""), "sh"])
            .arg(this)
            .args([
                "--exact",
                "authority::kill::acknowledged_revocations_in_a_file_survive_kill_9",
                "--nocapture",
            ])
            .env(STORE, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut process = Self { child, input, output };
        assert_eq!(process.answer(), "ready");
        process
    }

    fn ask(&mut self, id: &str) {
        writeln!(self.input, "{id}").expect("it reads");
    }

    fn revoke(&mut self, id: &str) -> Result<(), String> {
        self.ask(id);
        match self.answer().as_str() {
            "acknowledged" => Ok(()),
            error => Err(error.to_owned()),
        }
    }

    /// The next line that is not of the test harness.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).expect("it writes") > 0 {
            if let Some((_, said)) = line.split_once("SAYS ") {
                return said.trim().to_owned();
            }
            line.clear();
        }
        panic!("it ended: {:?}", self.child.wait());
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }
}

/// The other end of [`Process`]: the same program with [`STORE`] in its environment.
async fn be_the_process_that_revokes(url: &str) {
    let replica = Replica::start(url).await;
    let say = |what: &str| {
        let mut output = std::io::stdout();
        writeln!(output, "SAYS {what}")
            .and_then(|()| output.flush())
            .expect("somebody reads");
    };
    say("ready");
    for id in std::io::stdin().lines() {
        match replica.revoke_token(&id.expect("UTF-8")).await {
            Ok(_) => say("acknowledged"),
            Err(error) => say(&error.to_string()),
        }
    }
}
