//! A real proxy other than Envoy, as a child process on a port of its own, with the configuration that `deploy` ships.
//!
//! [`proofs`] are what must hold behind each of them.

pub(crate) mod proofs;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis::demo::child::{Guarded, tail};
use portcullis::demo::echo::Echo;
use portcullis::demo::http;
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::tools::{PythonTool, python_tool};

use crate::envoy::raw;
use crate::house::{Got, TestHouse, skipped};

/// How long a proxy may take from start to ready.
const START: Duration = Duration::from_secs(30);

/// A proxy program, and how it is told what to do.
pub(crate) struct Program {
    /// Where it comes from.
    pub(crate) tool: PythonTool,
    /// The name of its command.
    pub(crate) command: &'static str,
    /// The contract it speaks, which is also the path of its door.
    pub(crate) contract: &'static str,
    /// Its files, as `deploy` has them: names and texts.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Its arguments; `{dir}` stands for the folder of its files.
    pub(crate) arguments: &'static [&'static str],
    /// The page that goes with the files; the settings of Portcullis in it are those of the test.
    pub(crate) readme: &'static str,
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
        self.start_with(house, |_, text| text).await
    }

    /// The same with each file, name and text, altered.
    pub(crate) async fn start_with(
        &'static self,
        house: &TestHouse,
        alter: impl Fn(&str, String) -> String,
    ) -> Option<Proxy> {
        let tool = self.tool;
        let installed = tokio::task::spawn_blocking(move || python_tool(&tool, &mut |_| {})).await;
        let bin = match installed.expect("no panic") {
            Ok(bin) => bin,
            Err(error) => {
                skipped(self.command, &error.to_string());
                return None;
            }
        };
        let echo = Echo::start().await.expect("an upstream");
        let authz = house.http();
        let mut ended = String::new();
        // Somebody else may take a free port before the proxy does.
        for _ in 0..5 {
            let address = free_port();
            let dir = ScratchDir::new(self.command).expect("a folder");
            let texts = self.files.iter();
            let texts: Vec<_> = texts
                .map(|(name, text)| (*name, alter(name, (*text).to_owned())))
                .collect();
            write(dir.path(), texts, address, authz, echo.address());
            let log = dir.path().join("log");
            // What it wants to keep goes there, too.
            let mut arguments: Vec<OsString> = vec![format!("HOME={}", dir.path().display()).into()];
            arguments.push(bin.join(self.command).into());
            let folder = dir.path().to_str().expect("UTF-8");
            arguments.extend(
                self.arguments
                    .iter()
                    .map(|argument| argument.replace("{dir}", folder).into()),
            );
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
}

/// The addresses of the files as they are shipped, and what they are here.
fn write(dir: &Path, texts: Vec<(&str, String)>, own: SocketAddr, authz: SocketAddr, upstream: SocketAddr) {
    let all: String = texts.iter().map(|(_, text)| text.as_str()).collect();
    for (there, here) in [
        (":8080", own.port()),
        (":9193", authz.port()),
        (":8000", upstream.port()),
    ] {
        assert_eq!(all.matches(there).count(), 1, "{there} {here}");
    }
    for (name, text) in texts {
        let text = text
            .replace(":8080", &format!(":{}", own.port()))
            .replace(":9193", &format!(":{}", authz.port()))
            .replace(":8000", &format!(":{}", upstream.port()))
            .replace("filename: ", &format!("filename: {}/", dir.display()));
        std::fs::write(dir.join(name), text).expect("written");
    }
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
