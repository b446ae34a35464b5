//! Where proxies ask, and how.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use decide::OnReserved;
use decide::problem::Problem;
use ipnet::{IpNet, Ipv4Net};
use model::ListenerOptions;
use schemars::JsonSchema;
use serde::Deserialize;

use super::schema;
use super::tls::TlsSettings;

/// The listeners, one for each contract.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Envoy's `ext_authz` filter over gRPC (also Istio and Envoy Gateway). Default: `127.0.0.1:9191`
    #[serde(default = "default_envoy_grpc")]
    #[schemars(extend("format" = schema::ADDRESS))]
    pub envoy_grpc: SocketAddr,
    /// What holds for that listener alone.
    #[serde(default)]
    pub envoy_grpc_options: GrpcListen,
    /// Listeners for proxies that ask over HTTP. Default: none
    #[serde(default)]
    pub http: Vec<HttpListen>,
}

/// A listener for proxies that ask over HTTP/1.1 or HTTP/2.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpListen {
    /// Where to listen. Whoever reaches this port can ask, so let only proxies reach it.
    #[schemars(extend("format" = schema::ADDRESS))]
    pub address: SocketAddr,
    /// What is spoken there. A path without a door is denied.
    pub doors: Vec<DoorSettings>,
    /// TLS here; what is not encrypted is closed then. Default: none, so let only proxies reach the port.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// The networks of the proxies that may ask here (`10.0.0.0/8`, `::1/128`); everybody else is denied. Empty: whoever
    /// reaches the port. Default: empty
    #[serde(default)]
    pub allowed_peers: Vec<String>,
    /// `trusted_hops` for what is asked here. Default: what holds for all
    #[serde(default)]
    pub trusted_hops: Option<u8>,
    /// `method_override` for what is asked here. Default: what holds for all
    #[serde(default)]
    pub method_override: Option<OnReserved>,
}

/// What holds for the gRPC listener alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcListen {
    /// TLS here; what is not encrypted is closed then. Default: none, so let only proxies reach the port.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// The networks of the proxies that may ask here (`10.0.0.0/8`, `::1/128`); everybody else is denied. Empty: whoever
    /// reaches the port. Default: empty
    #[serde(default)]
    pub allowed_peers: Vec<String>,
    /// `trusted_hops` for what is asked here. Default: what holds for all
    #[serde(default)]
    pub trusted_hops: Option<u8>,
    /// `method_override` for what is asked here. Default: what holds for all
    #[serde(default)]
    pub method_override: Option<OnReserved>,
}

/// What holds for the admin listener alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminListen {
    /// TLS there; what is not encrypted is closed then. Default: none
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Policies about who may read decisions (`decisions.read`, `shadow.read`) and reload (`rules.write`) from another host, which
    /// takes `tls` and a credential. They are asked together with `authority.policies`, if there are any. Without any, nobody
    /// may. Example: `[admin.cedar]`
    #[serde(default)]
    pub policies: Vec<PathBuf>,
}

/// The peers that may ask at a listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedPeers(Vec<IpNet>);

impl AllowedPeers {
    /// Checked networks; what is none was reported before and lets nobody in.
    fn new(networks: &[String]) -> Self {
        let nobody = || IpNet::from(IpAddr::from([0, 0, 0, 0]));
        Self(
            networks
                .iter()
                .map(|text| text.parse().unwrap_or_else(|_| nobody()))
                .collect(),
        )
    }

    pub(crate) fn let_in(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&peer))
    }
}

fn options(trusted_hops: Option<u8>, method_override: Option<OnReserved>) -> ListenerOptions {
    ListenerOptions {
        trusted_hops,
        ignores_method_override: method_override.map(|what| what == OnReserved::Ignore),
    }
}

impl GrpcListen {
    pub(crate) fn options(&self) -> ListenerOptions {
        options(self.trusted_hops, self.method_override)
    }

    pub(crate) fn allowed_peers(&self) -> AllowedPeers {
        AllowedPeers::new(&self.allowed_peers)
    }
}

/// One contract at one path.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoorSettings {
    /// Who asks. Nothing that a client sends changes this.
    pub contract: HttpContract,
    /// The path at which the proxy asks; for `envoy_http` the prefix (`path_prefix` in Envoy) before the path that is
    /// asked about. Default: `/`
    #[serde(default = "root")]
    pub path: String,
}

/// The contracts over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpContract {
    /// Envoy's `ext_authz` in HTTP mode; also the HTTP providers of Istio, Envoy Gateway and Contour.
    EnvoyHttp,
    /// APISIX `forward-auth`: it sends the path decoded.
    Apisix,
    /// nginx `auth_request` and ingress-nginx `auth-url`: every denial is 401 or 403.
    Nginx,
    /// Traefik `ForwardAuth`.
    Traefik,
    /// Caddy `forward_auth`.
    Caddy,
    /// HAProxy with the script in `deploy/haproxy`.
    Haproxy,
    /// APISIX `opa`: it posts a document to `/v1/data/<package>/<decision>` and sends the path decoded.
    ApisixOpa,
    /// Kong `opa`: it posts a document to its `opa_path`.
    KongOpa,
}

fn root() -> String {
    "/".to_owned()
}

impl HttpListen {
    pub(crate) fn options(&self) -> ListenerOptions {
        options(self.trusted_hops, self.method_override)
    }

    pub(crate) fn allowed_peers(&self) -> AllowedPeers {
        AllowedPeers::new(&self.allowed_peers)
    }

    /// The doors, as the contracts know them.
    pub(crate) fn doors(&self) -> Vec<contracts::http::Door> {
        let door = |door: &DoorSettings| {
            let contract = door.contract.into();
            // Behind the prefix of Envoy comes a path that begins with a slash.
            let path = match contract {
                model::Contract::EnvoyHttp => door.path.trim_end_matches('/'),
                _ => &door.path,
            };
            contracts::http::Door {
                contract,
                path: path.into(),
            }
        };
        self.doors.iter().map(door).collect()
    }
}

impl From<HttpContract> for model::Contract {
    fn from(contract: HttpContract) -> Self {
        match contract {
            HttpContract::EnvoyHttp => Self::EnvoyHttp,
            HttpContract::Apisix => Self::Apisix,
            HttpContract::Nginx => Self::Nginx,
            HttpContract::Traefik => Self::Traefik,
            HttpContract::Caddy => Self::Caddy,
            HttpContract::Haproxy => Self::Haproxy,
            HttpContract::ApisixOpa => Self::ApisixOpa,
            HttpContract::KongOpa => Self::KongOpa,
        }
    }
}

/// What is wrong with the listeners.
pub(super) fn check_listeners(listen: &Listen, problems: &mut Vec<Problem>) {
    let grpc = &listen.envoy_grpc_options.allowed_peers;
    check_networks("/listen/envoy_grpc_options/allowed_peers", grpc, problems);
    for (index, listener) in listen.http.iter().enumerate() {
        let pointer = format!("/listen/http/{index}/allowed_peers");
        check_networks(&pointer, &listener.allowed_peers, problems);
        let mut problem = |field: String, message: &str, help: &str| {
            problems.push(Problem::setting(
                format!("/listen/http/{index}/{field}"),
                message,
                help,
            ));
        };
        if listener.doors.is_empty() {
            let message = "a listener without doors denies everything";
            problem(
                "doors".to_owned(),
                message,
                "for example `doors: [{contract: nginx}]`",
            );
        }
        for (i, door) in listener.doors.iter().enumerate() {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
            if !door.path.starts_with('/') || !door.path.bytes().all(plain) || door.path.contains("//") {
                problem(
                    format!("doors/{i}/path"),
                    "this is not a plain path",
                    "for example `/auth`: letters, digits, `-`, `_` and `.` between slashes",
                );
            }
            if door.contract == HttpContract::EnvoyHttp && door.path == "/" && listener.doors.len() > 1 {
                problem(
                    format!("doors/{i}/path"),
                    "without a prefix Envoy's clients choose the path, and could choose another door",
                    "give this door a prefix such as `/check`, or a listener of its own",
                );
            }
            let trimmed = |path: &str| path.trim_end_matches('/').to_owned();
            if listener
                .doors
                .iter()
                .take(i)
                .any(|other| trimmed(&other.path) == trimmed(&door.path))
            {
                problem(
                    format!("doors/{i}/path"),
                    "another door is at the same path",
                    "which contract is spoken there would be a guess",
                );
            }
            let asked_about = |prefix: &DoorSettings| {
                prefix.contract == HttpContract::EnvoyHttp
                    && prefix.path != door.path
                    && door
                        .path
                        .strip_prefix(prefix.path.trim_end_matches('/'))
                        .is_some_and(|rest| rest.starts_with('/'))
            };
            if listener.doors.iter().any(asked_about) {
                problem(
                    format!("doors/{i}/path"),
                    "this path is behind the prefix of an `envoy_http` door",
                    "a client's own path would choose this door; give it another path, or a listener of its own",
                );
            }
        }
    }
}

fn check_networks(pointer: &str, networks: &[String], problems: &mut Vec<Problem>) {
    for (index, text) in networks.iter().enumerate() {
        let wrong = match text.parse::<IpNet>() {
            Err(_) => Some((
                "is not a network",
                "for example `10.0.0.0/8`, `10.1.2.3/32` or `::1/128`".to_owned(),
            )),
            Ok(network) if let Some(plain) = mapped(network) => Some((
                "is a network of IPv4 in the form of IPv6, which no peer is compared with",
                format!("write `{plain}`: it holds for both forms"),
            )),
            Ok(network) if network.trunc() != network => Some((
                "has bits set behind its prefix",
                "write the first address of the network, or `/32` (IPv6: `/128`) for one address".to_owned(),
            )),
            Ok(_) => None,
        };
        if let Some((what, help)) = wrong {
            problems.push(Problem::setting(
                format!("{pointer}/{index}"),
                format!("`{text}` {what}"),
                help,
            ));
        }
    }
}

/// The network of IPv4 that this one of IPv6 stands for (`::ffff:10.0.0.0/104`): peers come as IPv4.
fn mapped(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(network) = network else {
        return None;
    };
    let address = network.addr().to_ipv4_mapped()?;
    let length = network.prefix_len().checked_sub(96)?;
    Some(IpNet::from(Ipv4Net::new(address, length).ok()?.trunc()))
}

fn default_envoy_grpc() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9191))
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            envoy_grpc: default_envoy_grpc(),
            envoy_grpc_options: GrpcListen::default(),
            http: Vec::new(),
        }
    }
}
