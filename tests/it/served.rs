//! The server as operators run it: a process of its own, with its own environment, files and log.
//!
//! The process is this very binary, which runs one test only; that test becomes the server when the environment says so.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use portcullis::cli::Cli;
use portcullis::demo::child::{Guarded, tail};
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::{http, stage};

use crate::house::until;

/// The configuration file that the process is to serve with.
const CONFIG: &str = "TESTS_SERVE";
/// The verb of the process, if it is not `serve`.
const VERB: &str = "TESTS_VERB";
const ENTRY: &str = "served::a_variable_that_is_missing_is_told_and_nothing_starts";

/// A running server. Dropped, it is gone.
pub(crate) struct Served {
    child: Guarded,
    dir: ScratchDir,
}

impl Served {
    /// Starts it with this configuration (and a decision log, if it says nothing of one), the default policies, files beside the configuration, and environment variables.
    /// Returns when it is ready.
    pub(crate) async fn start(config: &str, files: &[(&str, &str)], environment: &[(&str, &str)]) -> Self {
        Self::start_by(r#"exec "$@""#, config, files, environment).await
    }

    /// The same, started by a shell in which `"$@"` is the command.
    pub(crate) async fn start_by(
        shell: &str,
        config: &str,
        files: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut this = Self::spawn(shell, config, files, environment);
        until("the server is ready", async || {
            let ended = this.child.exited().expect("its state");
            assert!(ended.is_none(), "the server ended: {}", this.log());
            let Some(admin) = this.address("admin=") else {
                return false;
            };
            http::send(admin, "GET", "/readyz", &[], Bytes::new())
                .await
                .is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        this
    }

    /// What another verb says to this configuration, and whether all is well.
    pub(crate) async fn asked(verb: &str, config: &str) -> (bool, String) {
        let mut this = Self::spawn(r#"exec "$@""#, config, &[], &[(VERB, verb)]);
        let mut well = false;
        until("it has ended", async || {
            let ended = this.child.exited().expect("its state");
            well = ended.is_some_and(|status| status.success());
            ended.is_some()
        })
        .await;
        (well, this.log())
    }

    /// The same, and does not wait until it is ready.
    pub(crate) fn spawn(
        shell: &str,
        config: &str,
        files: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Self {
        let dir = ScratchDir::new("served").expect("a directory");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("a file");
        let sources = stage::default_sources();
        for file in sources.schema.iter().chain(&sources.policies) {
            let name = Path::new(&file.name).file_name().and_then(|name| name.to_str());
            write(name.expect("a name"), &file.text);
        }
        for (name, text) in files {
            write(name, text);
        }
        let decisions = dir.path().join("decisions");
        let sink = format!("\ndecision_log: {{ file: {} }}\n", decisions.display());
        let sink = if config.contains("\ndecision_log:") {
            ""
        } else {
            &sink
        };
        write("portcullis.yaml", &(config.to_owned() + sink));
        let variables = environment.iter().map(|(name, value)| format!("{name}={value}"));
        let arguments = [
            // All that is ever logged, but not what libraries say of every byte.
            "RUST_LOG=trace,h2=debug,hyper=debug,hyper_util=debug".to_owned(),
            format!("{CONFIG}={}", dir.path().join("portcullis.yaml").display()),
        ]
        .into_iter()
        .chain(variables)
        .chain(["/bin/sh", "-c", shell, "sh"].map(str::to_owned))
        .chain([std::env::current_exe()
            .expect("this binary")
            .display()
            .to_string()])
        .chain(["--exact", ENTRY, "--nocapture"].map(str::to_owned));
        let child = Guarded::spawn(Path::new("/usr/bin/env"), arguments, &dir.path().join("log"));
        Self {
            child: child.expect("a process"),
            dir,
        }
    }

    /// Where proxies ask.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.address("envoy_grpc=").expect("it answers")
    }

    /// Where operators ask.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.address("admin=").expect("it answers")
    }

    /// Where clients and other nodes ask the house itself.
    pub(crate) fn authority(&self) -> SocketAddr {
        self.address("authority=").expect("it answers")
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself, or by a signal.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.exited().expect("its state").is_some()
    }

    /// Its exit code once it has ended; `None` for a signal, too.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.exited().expect("its state")?.code()
    }

    /// A file beside the configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything it has said so far, on standard output and standard error.
    pub(crate) fn log(&self) -> String {
        self.read("log")
    }

    /// The decision log so far.
    pub(crate) fn decisions(&self) -> String {
        self.read("decisions")
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.dir.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// An address in the line in which the server says that it answers.
    fn address(&self, field: &str) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(" answers "))?;
        let (_, rest) = line.split_once(field)?;
        rest.split(' ').next()?.parse().ok()
    }
}

#[test]
fn a_variable_that_is_missing_is_told_and_nothing_starts() -> ExitCode {
    if let Some(config) = std::env::var_os(CONFIG) {
        let verb = std::env::var_os(VERB).unwrap_or("serve".into());
        return Cli::of(["portcullis".into(), verb, "--config".into(), config]).run();
    }
    let config = stage::DEFAULT_CONFIG.to_owned()
        + "static_tokens: { tokens: [{ subject: ci, token: '${PORTCULLIS_TEST_MISSING}' }] }\n";
    let mut served = Served::spawn(r#"exec "$@""#, &config, &[], &[]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let status = loop {
        if let Some(status) = served.child.exited().expect("its state") {
            break status;
        }
        assert!(std::time::Instant::now() < deadline, "{}", served.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let said = tail(&served.dir.path().join("log"), 40);
    assert!(!status.success(), "{said}");
    assert!(said.contains("PORTCULLIS_TEST_MISSING"), "{said}");
    assert!(!said.contains(" answers "), "{said}");
    ExitCode::SUCCESS
}
