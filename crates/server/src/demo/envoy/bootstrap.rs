//! The bootstrap configuration as JSON: one listener, one route, two static clusters, and names no host but those given.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    AuthzTls, BodyForm, EnvoyOptions, ForwardedCertificates, HeaderForm, LongerBody, OnError, Replica,
};

const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// The whole `envoy.config.bootstrap.v3.Bootstrap`.
pub(super) fn bootstrap(options: &EnvoyOptions) -> Value {
    let mut authz = cluster("authz", options.authz);
    authz["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": { "http2_protocol_options": {} },
        }
    });
    if let Some(tls) = &options.authz_tls {
        authz["transport_socket"] = transport_socket(tls);
    }
    if !options.replicas.is_empty() {
        add_replicas(&mut authz, &options.replicas);
    }
    json!({
        "admin": { "address": address(([127, 0, 0, 1], 0).into()) },
        "static_resources": {
            "listeners": [{
                "name": "ingress",
                "address": address(options.listen),
                "filter_chains": [{ "filters": [connection_manager(options)] }],
            }],
            "clusters": [authz, cluster("upstream", options.upstream)],
        },
    })
}

fn connection_manager(options: &EnvoyOptions) -> Value {
    let mut filters = Vec::new();
    if !options.metadata.is_empty() {
        filters.push(set_metadata(options));
    }
    filters.push(ext_authz(options));
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{TYPES}.filters.http.router.v3.Router") },
    }));
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "ingress",
            "codec_type": "AUTO",
            "max_request_headers_kb": options.max_request_headers_kb,
            "common_http_protocol_options": { "max_headers_count": options.max_request_headers },
            "forward_client_cert_details": match options.forwarded_certificates {
                ForwardedCertificates::Removed => "SANITIZE",
                ForwardedCertificates::PassedOn => "ALWAYS_FORWARD_ONLY",
            },
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "http_filters": filters,
            "route_config": {
                "name": "all",
                "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "upstream" } }],
                    "typed_per_filter_config": per_route(options),
                }],
            },
        },
    })
}

fn ext_authz(options: &EnvoyOptions) -> Value {
    let mut config = json!({
        "@type": format!("{TYPES}.filters.http.ext_authz.v3.ExtAuthz"),
        "transport_api_version": "V3",
        "grpc_service": { "envoy_grpc": { "cluster_name": "authz" }, "timeout": duration(options.timeout) },
        "encode_raw_headers": options.headers == HeaderForm::Raw,
        "metadata_context_namespaces": options.metadata.keys().collect::<Vec<_>>(),
    });
    match options.on_error {
        OnError::Deny(status) => config["status_on_error"] = json!({ "code": status }),
        OnError::Allow => {
            config["failure_mode_allow"] = true.into();
            config["failure_mode_allow_header_add"] = true.into();
        }
    }
    if let Some(body) = options.body {
        config["with_request_body"] = json!({
            "max_request_bytes": body.max_bytes,
            "allow_partial_message": body.longer == LongerBody::Truncated,
            "pack_as_bytes": body.form == BodyForm::Bytes,
        });
    }
    json!({ "name": "envoy.filters.http.ext_authz", "typed_config": config })
}

/// What the filter is told for the virtual host: nothing, unless there is something to add.
fn per_route(options: &EnvoyOptions) -> Value {
    if options.context_extensions.is_empty() {
        return json!({});
    }
    json!({
        "envoy.filters.http.ext_authz": {
            "@type": format!("{TYPES}.filters.http.ext_authz.v3.ExtAuthzPerRoute"),
            "check_settings": { "context_extensions": options.context_extensions },
        }
    })
}

fn set_metadata(options: &EnvoyOptions) -> Value {
    let metadata: Vec<Value> = options
        .metadata
        .iter()
        .map(|(namespace, value)| json!({ "metadata_namespace": namespace, "value": value }))
        .collect();
    json!({
        "name": "envoy.filters.http.set_metadata",
        "typed_config": {
            "@type": format!("{TYPES}.filters.http.set_metadata.v3.Config"),
            "metadata": metadata,
        },
    })
}

fn cluster(name: &str, to: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(to) } }] }],
        },
    })
}

fn transport_socket(tls: &AuthzTls) -> Value {
    let text = |text: &str| json!({ "inline_string": text });
    let certificates: Vec<Value> = tls
        .client
        .iter()
        .map(|(certificate, key)| json!({ "certificate_chain": text(certificate), "private_key": text(key) }))
        .collect();
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": format!("{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"),
            "sni": tls.name,
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_certificates": certificates,
                "validation_context": {
                    "trusted_ca": text(&tls.ca),
                    "match_typed_subject_alt_names": [{ "san_type": "DNS", "matcher": { "exact": tls.name } }],
                },
            },
        },
    })
}

/// Whoever says that it is not serving is asked no more, at once.
fn add_replicas(cluster: &mut Value, replicas: &[Replica]) {
    let endpoint = |replica: &Replica| {
        json!({ "endpoint": {
            "address": address(replica.authz),
            "health_check_config": { "port_value": replica.admin.port() },
        } })
    };
    let endpoints: Vec<Value> = replicas.iter().map(endpoint).collect();
    cluster["load_assignment"]["endpoints"] = json!([{ "lb_endpoints": endpoints }]);
    cluster["health_checks"] = json!([{
        "timeout": "1s",
        "interval": "0.1s",
        "no_traffic_interval": "0.1s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }]);
}

fn address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}

/// Protobuf's JSON form of a duration: seconds with a fraction, then `s`.
fn duration(duration: Duration) -> String {
    format!("{}.{:09}s", duration.as_secs(), duration.subsec_nanos())
}
