//! Whether the addresses of listeners are free, or answer.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::{Finding, PATIENCE};
use crate::cli::access::Trust;
use crate::cli::healthcheck::admin_url;
use crate::config::Config;

/// Looks at each listener; and the metrics of the server that runs here, if one does.
pub(super) async fn look(config: &Config) -> (Vec<Finding>, Option<String>) {
    let mut listeners = vec![("listen.envoy_grpc".to_owned(), config.listen.envoy_grpc)];
    let http = config.listen.http.iter().enumerate();
    listeners.extend(http.map(|(index, it)| (format!("listen.http[{index}]"), it.address)));
    listeners.extend(
        config
            .authority
            .iter()
            .map(|it| ("authority.listen".to_owned(), it.listen)),
    );
    let mut findings = Vec::new();
    let running = match free("admin", config.admin) {
        Free::Yes(finding) | Free::Never(finding) => {
            findings.push(finding);
            None
        }
        Free::Taken => {
            let (finding, metrics) = running(config).await;
            findings.push(finding);
            metrics
        }
    };
    for (setting, address) in listeners {
        findings.push(match free(&setting, address) {
            Free::Yes(finding) | Free::Never(finding) => finding,
            Free::Taken if running.is_some() => {
                Finding::good(&setting, format!("{address} is taken, and a server runs here"))
            }
            Free::Taken => Finding::wrong(
                &setting,
                format!("{address} is taken by another program"),
                "`ss -ltnp` says by which; end it, or choose another address",
            ),
        });
    }
    findings.extend(open_to_all(config));
    (findings, running)
}

enum Free {
    Yes(Finding),
    Taken,
    /// It can never be had.
    Never(Finding),
}

fn free(setting: &str, address: SocketAddr) -> Free {
    match TcpListener::bind(address) {
        Ok(_) => Free::Yes(Finding::good(setting, format!("{address} is free"))),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Free::Taken,
        Err(error) => Free::Never(Finding::wrong(
            setting,
            format!("cannot listen on {address}: {error}"),
            "an address of this machine and a port from 1024 on need no privilege",
        )),
    }
}

/// What answers at the admin address.
async fn running(config: &Config) -> (Finding, Option<String>) {
    let address = config.admin;
    let strange = |why: String| {
        let found = format!("{address} is taken, and no Portcullis answers there: {why}");
        let help = "`ss -ltnp` says what it is; end it, or choose another `admin`";
        (Finding::wrong("admin", found, help), None)
    };
    let client = match Trust::default().client_for_probes(PATIENCE) {
        Ok(client) => client,
        Err(error) => return strange(error),
    };
    let base = admin_url(config.into());
    let get = async |path: &str| {
        let answer = client.get(format!("{base}{path}")).send().await?;
        Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
    };
    let (ready, metrics) = match (get("/readyz?verbose").await, get("/metrics").await) {
        (Ok(ready), Ok((200, metrics))) if metrics.contains("portcullis_build_info") => (ready, metrics),
        (Ok((status, _)), _) => return strange(format!("it answers {status}")),
        (Err(error), _) => return strange(error.without_url().to_string()),
    };
    let finding = match ready {
        (200, _) => Finding::good("admin", format!("a server answers at {address}, and is ready")),
        (_, conditions) => {
            let failed = conditions.lines().filter(|line| line.starts_with("[-]"));
            let failed: Vec<&str> = failed.map(|line| line.trim_start_matches("[-] ")).collect();
            let found = format!("the server at {address} is not ready: {}", failed.join("; "));
            Finding::wrong("admin", found, "its own log says more")
        }
    };
    (finding, Some(metrics))
}

/// Listeners that anybody can reach who reaches the machine.
fn open_to_all(config: &Config) -> Vec<Finding> {
    let grpc = &config.listen.envoy_grpc_options;
    let first = (
        "listen.envoy_grpc".to_owned(),
        config.listen.envoy_grpc,
        grpc.allowed_peers.is_empty(),
        grpc.tls.as_ref(),
    );
    let http = config.listen.http.iter().enumerate().map(|(index, it)| {
        (
            format!("listen.http[{index}]"),
            it.address,
            it.allowed_peers.is_empty(),
            it.tls.as_ref(),
        )
    });
    let open = [first].into_iter().chain(http).filter(|(_, address, all, tls)| {
        !address.ip().is_loopback() && *all && tls.is_none_or(|tls| tls.client_ca.is_none())
    });
    open.map(|(setting, address, ..)| {
        Finding::doubtful(
            setting,
            format!("whoever reaches {address} can ask, and sees who may do what"),
            "let only proxies in: `allowed_peers`, `client_ca`, or a rule of the network",
        )
    })
    .collect()
}
