//! A real PostgreSQL server from a wheel, reachable over a socket only, and a wire to it that can be cut.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use portcullis::demo::child::{Guarded, tail};
use portcullis::demo::tools::{PythonTool, python_tool};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use crate::house::{skipped, until};

static WHEEL: PythonTool = PythonTool {
    package: "pgserver",
    version: "0.1.4",
    megabytes: 16,
};
/// PostgreSQL does not run as root; then it runs as the user that owns nothing.
const NOBODY: u32 = 65534;

/// A server with nothing in it; dropped, it is gone with its files.
pub(crate) struct PostgresServer {
    programs: PathBuf,
    dir: PathBuf,
    running: Option<Guarded>,
}

impl PostgresServer {
    /// A new one, running. `None`, and said so, where it cannot be had.
    pub(crate) async fn start() -> Option<Self> {
        let installed = tokio::task::spawn_blocking(|| python_tool(&WHEEL, &mut |_| ())).await;
        let bin = match installed.expect("no panic") {
            Ok(bin) => bin,
            Err(error) => {
                skipped("postgres", &error.to_string());
                return None;
            }
        };
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // A short path that every user may follow: the name of a socket has 107 bytes.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("portcullis-pg-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("a folder");
        let mut this = Self {
            programs: programs(&bin),
            dir,
            running: None,
        };
        if this.is_root() {
            this.give_to_nobody();
        }
        let mut made = this.command("initdb");
        made.args([
            "--username=portcullis",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        made.arg("-D").arg(this.dir.join("data"));
        let made = made.output().expect("initdb starts");
        if !made.status.success() {
            skipped("postgres", &String::from_utf8_lossy(&made.stderr));
            return None;
        }
        this.run().await;
        Some(this)
    }

    /// Starts it again.
    pub(crate) async fn run(&mut self) {
        let (program, mut arguments) = self.program("postgres");
        let data = self.dir.join("data");
        arguments.extend(["-D".to_owned(), data.display().to_string()]);
        let socket = format!("unix_socket_directories={}", self.dir.display());
        for setting in [
            socket.as_str(),
            "listen_addresses=",
            "shared_buffers=16MB",
            "max_connections=50",
        ] {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        let log = self.dir.join("log");
        let start = || Guarded::spawn(Path::new(&program), &arguments, &log).expect("postgres starts");
        self.running = Some(start());
        until("the server answers", async || {
            if let Ok(Some(status)) = self.running.as_mut().expect("it was started").exited() {
                // What is left of one that was killed takes a moment to notice.
                let said = tail(&log, 20);
                assert!(said.contains("is still in use"), "{status}: {said}");
                self.running = Some(start());
            }
            let mut asked = self.command("pg_isready");
            asked.arg("-h").arg(&self.dir);
            asked.output().is_ok_and(|it| it.status.success())
        })
        .await;
    }

    /// Ends it as an administrator would, who does not wait for clients.
    pub(crate) async fn stop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-m", "fast", "-D"]).arg(self.dir.join("data"));
        assert!(stop.output().expect("pg_ctl starts").status.success());
        self.running = None;
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// A copy of all it has, taken while it is stopped.
    pub(crate) fn copy(&self) -> PathBuf {
        let copy = self.dir.join("copy");
        let mut cp = Command::new("cp");
        cp.arg("-a").arg(self.dir.join("data")).arg(&copy);
        assert!(cp.status().expect("cp starts").success());
        copy
    }

    /// What the copy has is what it has from the next start on.
    pub(crate) fn put_back(&self, copy: &Path) {
        fs::remove_dir_all(self.dir.join("data")).expect("the data");
        fs::rename(copy, self.dir.join("data")).expect("the copy");
    }

    /// From the next start on it is a copy of a server that is not there.
    pub(crate) fn becomes_standby(&self) {
        fs::write(self.dir.join("data/standby.signal"), "").expect("a file");
    }

    /// The address of a new, empty database.
    pub(crate) fn database(&self, name: &str) -> String {
        self.sql(&format!("CREATE DATABASE {name}"));
        format!("postgres:///{name}?host={}&user=portcullis", self.dir.display())
    }

    /// Runs a statement; what it says, a row a line.
    pub(crate) fn sql(&self, statement: &str) -> String {
        self.sql_in("postgres", statement)
    }

    /// The same in another database.
    pub(crate) fn sql_in(&self, database: &str, statement: &str) -> String {
        let mut psql = self.command("psql");
        psql.args([
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "portcullis",
            "-d",
            database,
        ]);
        psql.arg("-h").arg(&self.dir).args(["-c", statement]);
        let said = psql.output().expect("psql starts");
        assert!(
            said.status.success(),
            "{statement}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }

    /// From the next start on, a new user with this password, who needs it.
    pub(crate) fn user(&self, name: &str, password: &str) {
        self.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
        let file = self.dir.join("data/pg_hba.conf");
        let others = fs::read_to_string(&file).expect("who may come");
        fs::write(file, format!("local all {name} scram-sha-256\n{others}")).expect("written");
    }

    /// The socket it listens on.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join(".s.PGSQL.5432")
    }

    /// The wheel may lie where only root may look, below a home folder for one, so nobody gets a copy of the programs.
    fn give_to_nobody(&mut self) {
        let installed = self.programs.ancestors().nth(3).expect("the folder of packages");
        let mut copy = Command::new("cp");
        copy.args(["-R", "pgserver", "pgserver.libs"])
            .arg(&self.dir)
            .current_dir(installed);
        assert!(copy.status().expect("cp starts").success());
        let mut own = Command::new("chown");
        own.args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(&self.dir);
        assert!(own.status().expect("chown starts").success());
        self.programs = self.dir.join("pgserver/pginstall/bin");
    }

    fn is_root(&self) -> bool {
        fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
    }

    /// How one of its programs is started, as somebody who is not root.
    fn program(&self, name: &str) -> (String, Vec<String>) {
        let program = self.programs.join(name).display().to_string();
        if !self.is_root() {
            return (program, Vec::new());
        }
        let user = [
            format!("--reuid={NOBODY}"),
            format!("--regid={NOBODY}"),
            "--clear-groups".to_owned(),
        ];
        ("setpriv".to_owned(), user.into_iter().chain([program]).collect())
    }

    fn command(&self, name: &str) -> Command {
        let (program, arguments) = self.program(name);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .current_dir(&self.dir);
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.running.is_some() {
            let mut stop = self.command("pg_ctl");
            stop.args(["stop", "-m", "immediate", "-D"])
                .arg(self.dir.join("data"));
            let _ = stop.output();
        }
        self.running = None;
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Where the wheel has them.
fn programs(bin: &Path) -> PathBuf {
    let lib = bin.parent().expect("the environment").join("lib");
    let found = fs::read_dir(&lib).expect("its libraries").filter_map(Result::ok);
    let mut found = found.map(|python| python.path().join("site-packages/pgserver/pginstall/bin"));
    let programs = found
        .find(|path| path.is_dir())
        .expect("the programs of the wheel");
    let mode = fs::metadata(programs.join("postgres"))
        .expect("postgres")
        .permissions()
        .mode();
    assert!(mode & 0o111 != 0, "postgres is no program");
    programs
}

/// What a wire does with what is sent over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// It arrives.
    Whole,
    /// It disappears, and nobody is told. A connection that this happened to stays so for ever.
    Swallows,
    /// Connections are closed, old ones and new ones.
    Cut,
}

/// A port on this host that leads to a server.
pub(crate) struct Line {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
}

impl Line {
    pub(crate) async fn to(server: &PostgresServer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (wire, state) = watch::channel(Wire::Whole);
        let socket = server.socket();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, socket.clone(), state.clone()));
            }
        });
        Self { address, wire }
    }

    /// From now on.
    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// The address of a database at the other end.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_of("portcullis", database)
    }

    /// The same for another user, with a password if there is one.
    pub(crate) fn url_of(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@{}/{database}", self.address)
    }
}

async fn carry(mut near: TcpStream, socket: PathBuf, mut state: watch::Receiver<Wire>) {
    if *state.borrow_and_update() == Wire::Whole {
        // A server that is down refuses: so does the line.
        let Ok(mut far) = UnixStream::connect(socket).await else {
            return;
        };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            _ = state.changed() => {}
        }
        if *state.borrow() == Wire::Swallows {
            // Both ends stay open.
            std::future::pending().await
        }
    } else if *state.borrow() == Wire::Swallows {
        std::future::pending().await
    }
}
