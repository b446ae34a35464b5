//! Through a real Envoy: what a check adds to the CPU of a request, whoever spends it.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::demo::envoy::Envoy;
use serde_json::{Value, json};

use crate::Bench;
use crate::folder::{Policies, Setup};
use crate::machine;
use crate::material::{HERS, ISSUER};
use crate::report::Table;
use crate::server::Server;
use crate::stats::{least, median};
use crate::targets::amount;
use crate::tools::{Tool, WRK};
use crate::wrk;

const TYPES: &str = "type.googleapis.com/envoy.extensions.filters";

/// What Envoy is told to do with a request.
struct Way {
    name: &'static str,
    measure: &'static str,
    filters: Vec<Value>,
    /// Whether `portcullis` is asked.
    asks: bool,
}

pub(super) fn envoy(bench: &mut Bench) -> Result<(), String> {
    let tool = Tool::find(&WRK)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let server = bench.portcullis("behind-envoy", &Setup::new(Policies::Condition { links: 10 }))?;
    let ways = ways(&server, &bench.issuer.jwks())?;
    let mut envoys = Vec::new();
    for way in &ways {
        let envoy = runtime
            .block_on(Envoy::start_with(&bootstrap(&way.filters, &server).to_string()))
            .map_err(|error| error.to_string())?;
        machine::pin(envoy.id(), bench.cores.server)?;
        envoys.push(envoy);
    }
    let token = format!("authorization: Bearer {}", bench.issuer.token(0));
    let (rounds, lasts) = if bench.quick { (3, 2) } else { (12, 3) };
    let mut cpu: Vec<Vec<f64>> = ways.iter().map(|_| Vec::new()).collect();
    let mut rates = cpu.clone();
    for round in 0..=rounds {
        for turn in 0..ways.len() {
            let index = (round + turn) % ways.len();
            let (Some(envoy), Some(way)) = (envoys.get(index), ways.get(index)) else {
                continue;
            };
            let spent = || {
                let portcullis = if way.asks { server.cpu()? } else { Duration::ZERO };
                Ok::<_, String>(portcullis + machine::cpu(envoy.id(), |_| true)?)
            };
            let before = spent()?;
            let url = format!("http://{}{HERS}", envoy.address());
            let run = wrk::run(&tool, &url, &token, Duration::from_secs(lasts))
                .map_err(|why| format!("{}: {why}\n{}\n{}", way.name, envoy.log(), server.log()))?;
            // The first time around is to get warm.
            if round > 0 {
                cpu[index].push((spent()?.saturating_sub(before)).as_secs_f64() * 1e6 / run.requests as f64);
                rates[index].push(run.per_second);
            }
        }
    }
    let mut table = Table::new(
        "Through Envoy",
        "CPU of Envoy and Portcullis together, on one core, for a request that `wrk` sends over one of 32 connections and that Envoy answers \
         itself when it has passed. What a filter adds is the middle of the differences to no filter in the same round. Envoy's own filters \
         check the same token for one group and one path, and set four of the six headers.",
        &["", "CPU a request", "added", "requests a second"],
    );
    for (index, way) in ways.iter().enumerate() {
        let (ours, base) = (&cpu[index], &cpu[0]);
        let added: Vec<f64> = ours.iter().zip(base).map(|(ours, base)| ours - base).collect();
        let added = median(&added);
        table.row([
            way.name.to_owned(),
            amount(least(ours), "µs"),
            if index == 0 {
                String::new()
            } else {
                amount(added, "µs")
            },
            amount(rates[index].iter().copied().fold(0.0, f64::max), ""),
        ]);
        if index > 0 {
            bench.report.measure(way.measure, added);
        }
    }
    bench.report.tables.push(table);
    let contracts = [
        ("envoy/http-us", "envoy/http-of-native"),
        ("envoy/http2-us", "envoy/http2-of-native"),
    ];
    for (measure, ratio) in contracts {
        let measures = &bench.report.measures;
        let both = measures.get(measure).zip(measures.get("envoy/native-us"));
        if let Some((http, native)) = both.map(|(http, native)| (*http, *native)) {
            bench.report.measure(ratio, http / native);
        }
    }
    Ok(())
}

fn ways(server: &Server, jwks: &Value) -> Result<Vec<Way>, String> {
    let http = server.http.ok_or("no HTTP listener")?;
    Ok(vec![
        Way {
            name: "no filter",
            measure: "",
            filters: Vec::new(),
            asks: false,
        },
        Way {
            name: "Envoy's jwt_authn and RBAC",
            measure: "envoy/native-us",
            filters: native(jwks, false),
            asks: false,
        },
        Way {
            name: "the same with its token cache on",
            measure: "envoy/native-cached-us",
            filters: native(jwks, true),
            asks: false,
        },
        Way {
            name: "Portcullis over gRPC",
            measure: "envoy/grpc-us",
            filters: vec![json!({
                "name": "envoy.filters.http.ext_authz",
                "typed_config": {
                    "@type": format!("{TYPES}.http.ext_authz.v3.ExtAuthz"),
                    "transport_api_version": "V3",
                    "encode_raw_headers": true,
                    "grpc_service": { "envoy_grpc": { "cluster_name": "grpc" }, "timeout": "5s" },
                },
            })],
            asks: true,
        },
        Way {
            name: "Portcullis over HTTP",
            measure: "envoy/http-us",
            filters: over_http("http", http),
            asks: true,
        },
        Way {
            name: "the same over HTTP/2",
            measure: "envoy/http2-us",
            filters: over_http("http2", http),
            asks: true,
        },
    ])
}

/// Portcullis's HTTP contract, by a cluster.
fn over_http(cluster: &str, http: SocketAddr) -> Vec<Value> {
    vec![json!({
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": format!("{TYPES}.http.ext_authz.v3.ExtAuthz"),
            "transport_api_version": "V3",
            "allowed_headers": { "patterns": [
                { "exact": "x-forwarded-for" }, { "exact": "cookie" }, { "exact": "accept" },
                { "safe_regex": { "regex": "x[^a-z0-9](auth|portcullis)[^a-z0-9].*" } },
                { "exact": "x-http-method-override" }, { "exact": "x-http-method" },
                { "exact": "x-method-override" }, { "exact": "x-rewrite-url" },
                { "exact": "x-override-url" }, { "exact": "x-forwarded-path" },
                { "exact": "x-forwarded-prefix" }, { "exact": "x-host" },
                { "exact": "x-http-host-override" },
            ] },
            "http_service": {
                "path_prefix": "/check",
                "server_uri": { "uri": format!("http://{http}"), "cluster": cluster, "timeout": "5s" },
                "authorization_response": { "allowed_upstream_headers": { "patterns": [
                    { "prefix": "x-auth-" }, { "exact": "x-portcullis-decision-id" },
                ] } },
            },
        },
    })]
}

/// What Envoy can do without asking anybody: the token is good, its user is in the group, and the path is that group's.
fn native(jwks: &Value, cached: bool) -> Vec<Value> {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": ["workspace-api"],
        "forward": true,
        "local_jwks": { "inline_string": jwks.to_string() },
        "payload_in_metadata": "token",
        "claim_to_headers": [
            { "header_name": "x-auth-subject", "claim_name": "sub" },
            { "header_name": "x-auth-name", "claim_name": "preferred_username" },
            { "header_name": "x-auth-client", "claim_name": "azp" },
            { "header_name": "x-auth-groups", "claim_name": "groups" },
        ],
    });
    if cached {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 1000 });
    }
    vec![
        json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": format!("{TYPES}.http.jwt_authn.v3.JwtAuthentication"),
                "providers": { "main": provider },
                "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "main" } }],
            },
        }),
        json!({
            "name": "envoy.filters.http.rbac",
            "typed_config": {
                "@type": format!("{TYPES}.http.rbac.v3.RBAC"),
                "rules": { "action": "ALLOW", "policies": { "members-read": {
                    "permissions": [{ "and_rules": { "rules": [
                        { "url_path": { "path": { "prefix": "/workspaces/ws-alice/" } } },
                        { "header": { "name": ":method", "string_match": { "exact": "GET" } } },
                    ] } }],
                    "principals": [{ "metadata": {
                        "filter": "envoy.filters.http.jwt_authn",
                        "path": [{ "key": "token" }, { "key": "groups" }],
                        "value": { "list_match": { "one_of": { "string_match": { "exact": "/ws-alice" } } } },
                    } }],
                } } },
            },
        }),
    ]
}

fn bootstrap(filters: &[Value], server: &Server) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{TYPES}.http.router.v3.Router") },
    });
    let filters: Vec<&Value> = filters.iter().chain([&router]).collect();
    let cluster = |name: &str, port: u16, http2: bool| {
        let mut cluster = json!({
            "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": {
                "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            } }] }] },
        });
        if http2 {
            cluster["typed_extension_protocol_options"] = json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            });
        }
        cluster
    };
    let anywhere = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
    json!({
        "admin": { "address": anywhere },
        "static_resources": {
            "listeners": [{
                "name": "ingress",
                "address": anywhere,
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": format!("{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"),
                        "stat_prefix": "ingress",
                        "use_remote_address": true,
                        "http_filters": filters,
                        "route_config": { "virtual_hosts": [{
                            "name": "all", "domains": ["*"],
                            "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }],
                        }] },
                    },
                }] }],
            }],
            "clusters": [
                cluster("grpc", server.grpc.port(), true),
                cluster("http", server.http.map_or(0, |http| http.port()), false),
                cluster("http2", server.http.map_or(0, |http| http.port()), true),
            ],
        },
    })
}
