//! A real proxy other than Envoy, as a child process on a port of its own, with the configuration that `deploy` ships.
//!
//! [`proofs`] are what must hold behind each of them.

pub(crate) mod proofs;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis::demo::child::{Guarded, tail};
use portcullis::demo::echo::Echo;
use portcullis::demo::http;
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::tools::{DebianTool, PythonTool, ToolError, debian_tool, python_tool};

use crate::envoy::{raw, token};
use crate::house::{Got, TestHouse, skipped};

/// How long a proxy may take from start to ready.
const START: Duration = Duration::from_secs(30);

/// A proxy program, and how it is told what to do.
pub(crate) struct Program {
    /// Where it comes from.
    pub(crate) tool: Tool,
    /// The name of its command.
    pub(crate) command: &'static str,
    /// The contract it speaks, which is also the path of its door.
    pub(crate) contract: &'static str,
    /// Its files, as `deploy` has them: names and texts.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// What is otherwise in a test: a part of the files, there once in all of them, and what takes its place. `{own}`,
    /// `{authz}` and `{upstream}` stand for addresses, `{port}` for the port of the first, `{dir}` for the folder of the
    /// files.
    pub(crate) changes: &'static [(&'static str, &'static str)],
    /// Its arguments; `{dir}` stands for the folder of its files.
    pub(crate) arguments: &'static [&'static str],
    /// The page that goes with the files; the settings of Portcullis in it are those of the test.
    pub(crate) readme: &'static str,
    /// What a client gets to see of a denial.
    pub(crate) denials: Denials,
}

/// Where a program comes from.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    Python(PythonTool),
    Debian(DebianTool),
}

/// What a proxy makes of a denial.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denials {
    /// The client reads what Portcullis says.
    Said,
    /// The status and the challenge are Portcullis', the page is the proxy's.
    OwnPage,
}

/// A running proxy with an upstream behind it; dropped, it is gone.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) echo: Echo,
    _child: Guarded,
    _dir: ScratchDir,
}

impl Program {
    /// A house with the door that the page of this proxy says, and `alter`ed otherwise.
    pub(crate) async fn house(&self, alter: impl FnOnce(String) -> String) -> TestHouse {
        self.house_with(alter, &[]).await
    }

    /// The same with more policies: each a name and its text.
    pub(crate) async fn house_with(
        &self,
        alter: impl FnOnce(String) -> String,
        policies: &[(&str, &str)],
    ) -> TestHouse {
        let page = self.readme;
        let start = page.find("```yaml\nlisten:").expect("the settings of Portcullis") + 8;
        let length = page[start..].find("```").expect("their end");
        let settings = page[start..start + length].replace("127.0.0.1:9193", "127.0.0.1:0");
        assert!(settings.contains("127.0.0.1:0"), "{settings}");
        TestHouse::with(|text| alter(text.replace("listen:\n", &settings)), policies).await
    }

    /// Starts it in front of an upstream, asking this house. `None`, and said so, where it cannot be had.
    pub(crate) async fn start(&'static self, house: &TestHouse) -> Option<Proxy> {
        self.start_with(house.http(), |_, text| text).await
    }

    /// The same, asking at this address, with each file, name and text, altered after the other changes.
    pub(crate) async fn start_with(
        &'static self,
        authz: SocketAddr,
        alter: impl Fn(&str, String) -> String,
    ) -> Option<Proxy> {
        let tool = self.tool;
        let installed = tokio::task::spawn_blocking(move || tool.install()).await;
        let root = match installed.expect("no panic") {
            Ok(root) => root,
            Err(error) => {
                skipped(self.command, &error.to_string());
                return None;
            }
        };
        let echo = Echo::start().await.expect("an upstream");
        let mut ended = String::new();
        // Proxies do not tell which port the kernel chose, and somebody else may take a free one before they do.
        for _ in 0..5 {
            let address = free_port();
            let dir = ScratchDir::new(self.command).expect("a folder");
            let folder = dir.path().to_str().expect("UTF-8").to_owned();
            let here = |text: &str| {
                text.replace("{own}", &address.to_string())
                    .replace("{port}", &address.port().to_string())
                    .replace("{authz}", &authz.to_string())
                    .replace("{upstream}", &echo.address().to_string())
                    .replace("{dir}", &folder)
            };
            for (name, text) in self.changed(here) {
                std::fs::write(dir.path().join(name), alter(name, text)).expect("written");
            }
            let log = dir.path().join("log");
            // What it wants to keep goes there, too.
            let mut arguments: Vec<OsString> = vec![format!("HOME={folder}").into()];
            arguments.extend(tool.command(&root, self.command));
            arguments.extend(self.arguments.iter().map(|argument| here(argument).into()));
            let mut child = Guarded::spawn(Path::new("/usr/bin/env"), arguments, &log).expect("a process");
            if ready(&mut child, address).await {
                return Some(Proxy {
                    address,
                    echo,
                    _child: child,
                    _dir: dir,
                });
            }
            ended = tail(&log, 15);
        }
        panic!("{} does not start:\n{ended}", self.command)
    }

    /// The files with the changes of the tests; `here` fills them in.
    fn changed(&self, here: impl Fn(&str) -> String) -> Vec<(&'static str, String)> {
        let all: String = self.files.iter().map(|(_, text)| *text).collect();
        for (there, _) in self.changes {
            assert_eq!(all.matches(there).count(), 1, "{there}");
        }
        let files = self.files.iter().map(|(name, text)| {
            let changes = self.changes.iter();
            let text = changes.fold((*text).to_owned(), |text, (there, with)| {
                text.replace(there, &here(with))
            });
            (*name, text)
        });
        files.collect()
    }
}

impl Tool {
    /// Blocks, and may fetch it.
    fn install(self) -> Result<PathBuf, ToolError> {
        match self {
            Self::Python(tool) => python_tool(&tool, &mut |_| {}),
            Self::Debian(tool) => debian_tool(&tool, &mut |_| {}),
        }
    }

    /// What `env` runs, settings before it.
    fn command(self, root: &Path, command: &str) -> Vec<OsString> {
        match self {
            Self::Python(_) => vec![root.join(command).into()],
            Self::Debian(_) => {
                let mut libraries = OsString::from("LD_LIBRARY_PATH=");
                libraries.push(root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH)));
                vec![libraries, root.join("usr/sbin").join(command).into()]
            }
        }
    }
}

impl Proxy {
    /// Sends a request, byte for byte as given.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Got {
        raw::through(self.address, &self.echo, request).await
    }

    /// A request for `api.example.test` with these headers.
    pub(crate) async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Got {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let headers: Vec<_> = headers.collect();
        self.exchange(&raw::request(method, target.as_bytes(), &headers))
            .await
    }

    /// The same with the credential of one of the people behind the other headers.
    pub(crate) async fn send_as(
        &self,
        house: &TestHouse,
        who: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Got {
        let bearer = token(house, who).map(|token| format!("Bearer {token}"));
        let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
        let headers: Vec<_> = headers.iter().copied().chain(bearer).collect();
        self.send(method, target, &headers).await
    }
}

/// The text with a part that is there once put in the place of another.
pub(crate) fn replaced(text: &str, there: &str, here: &str) -> String {
    assert_eq!(text.matches(there).count(), 1, "{there}");
    text.replace(there, here)
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address")
}

/// Waits until it answers as configured: before it has read everything it says 404. `false` if it ended.
async fn ready(child: &mut Guarded, address: SocketAddr) -> bool {
    let deadline = Instant::now() + START;
    loop {
        let answer = http::send(address, "GET", "/", &[], Bytes::new()).await;
        if child.exited().expect("a child").is_some() {
            return false;
        }
        if answer.is_ok_and(|answer| answer.status() != 404) {
            return true;
        }
        assert!(
            Instant::now() < deadline,
            "the proxy is not ready after {START:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
