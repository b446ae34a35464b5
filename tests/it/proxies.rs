//! What is proved of every proxy in front of an HTTP door: each runs from the configuration in `deploy/`, only with other
//! addresses.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis::demo::child::{Guarded, tail};
use portcullis::demo::echo::Echo;
use portcullis::demo::scratch::ScratchDir;
use tokio::net::{TcpListener, TcpStream};

use crate::envoy::{DECISION_ID, raw, token};
use crate::house::{Got, TestHouse};

mod headers;
mod outage;
mod verdicts;

pub(crate) use headers::{check_foreign_headers, check_spoofing};
pub(crate) use outage::{check_no_verdict, check_outage, counted};
pub(crate) use verdicts::{check_authorities, check_bodies, check_verdicts, check_whole_urls};

/// A running proxy with an upstream behind it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) echo: Echo,
    _child: Guarded,
    _dir: ScratchDir,
}

impl Proxy {
    /// Starts it with `spawn`, which gets a directory of its own, where to listen, and where the upstream is. Its output
    /// goes to `log` in that directory. Returns when it takes connections.
    pub(crate) async fn start(
        name: &str,
        spawn: impl Fn(&Path, SocketAddr, SocketAddr) -> io::Result<Guarded>,
    ) -> Self {
        let echo = Echo::start().await.expect("an upstream");
        let dir = ScratchDir::new(name).expect("a directory");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // These proxies do not tell which port the kernel chose; one that was free a moment ago may be taken again.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let address = free.local_addr().expect("its address");
            drop(free);
            let mut child = spawn(dir.path(), address, echo.address()).expect("a process");
            while child.exited().expect("its state").is_none() {
                if TcpStream::connect(address).await.is_ok() {
                    return Self {
                        address,
                        echo,
                        _child: child,
                        _dir: dir,
                    };
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                assert!(Instant::now() < deadline, "{name} takes no connections");
            }
            let log = tail(&dir.path().join("log"), 15);
            let taken = log.contains("in use") || log.contains("cannot bind");
            assert!(taken && Instant::now() < deadline, "{name} ended:\n{log}");
        }
    }

    /// Sends these bytes on a connection of their own.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Got {
        raw::through(self.address, &self.echo, request).await
    }

    /// Sends a request of one of the people, with more headers.
    pub(crate) async fn send(
        &self,
        house: &TestHouse,
        who: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Got {
        let bearer = token(house, who).map(|token| format!("Bearer {token}"));
        let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
        let headers = headers.iter().copied().chain(bearer);
        let headers: Vec<_> = headers.map(|(name, value)| (name, value.as_bytes())).collect();
        self.exchange(&raw::request(method, target.as_bytes(), &headers))
            .await
    }
}

/// The default house with one HTTP door.
pub(crate) async fn house(contract: &str, path: &str, policies: &[(&str, &str)]) -> TestHouse {
    let doors = format!("doors: [{{ contract: {contract}, path: {path} }}]");
    let listen = format!("listen:\n  http: [{{ address: 127.0.0.1:0, {doors} }}]\n");
    TestHouse::with(|text| text.replacen("listen:\n", &listen, 1), policies).await
}

/// The text of a configuration with these parts, each there once, put in the place of others.
pub(crate) fn altered(config: &str, parts: &[(&str, String)]) -> String {
    parts.iter().fold(config.to_owned(), |text, (there, here)| {
        assert_eq!(text.matches(there).count(), 1, "{there}");
        text.replace(there, here)
    })
}

/// The record of the decision on this request, which the client or the upstream was told the id of.
pub(crate) fn record(house: &TestHouse, got: &Got) -> Option<serde_json::Value> {
    let told = got.header(DECISION_ID).map(str::to_owned);
    let id = match &got.seen {
        Some(seen) => seen.headers.get(DECISION_ID).map(|ids| ids.concat()),
        None => told,
    };
    id.map(|id| house.record(&id))
}
