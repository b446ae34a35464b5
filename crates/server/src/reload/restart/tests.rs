//! Which listeners are as they were.

use super::*;

/// A gRPC listener, two over HTTP, one for operators and an authority.
const CONFIG: &str = "
listen:
  envoy_grpc: 127.0.0.1:1
  envoy_grpc_options: { trusted_hops: 1 }
  http:
    - { address: '127.0.0.1:2', doors: [{ contract: nginx }] }
    - { address: '127.0.0.1:3', doors: [{ contract: traefik }], allowed_peers: ['10.0.0.0/8'] }
admin: 127.0.0.1:4
authority: { issuer: 'https://gate.test', store: 'sqlite::memory:', policies: [], listen: '127.0.0.1:5' }
policies: { schema: [], files: [] }
";

fn config(text: &str) -> Config {
    let config = crate::config::settings("portcullis.yaml".as_ref(), text);
    config.unwrap_or_else(|invalid| panic!("{invalid}"))
}

#[test]
fn a_listener_is_as_it_was_if_everything_but_its_files_is() {
    let started = config(CONFIG);
    let all = [
        "admin",
        "authority",
        "listen.envoy_grpc",
        "listen.http[0]",
        "listen.http[1]",
    ];
    let first = "{ address: '127.0.0.1:2', doors: [{ contract: nginx }] }";
    let second = "{ address: '127.0.0.1:3', doors: [{ contract: traefik }], allowed_peers: ['10.0.0.0/8'] }";
    let both = format!("{first}\n    - {second}");
    let turned = format!("{second}\n    - {first}");
    let fresh = format!("{{ address: '127.0.0.1:9', doors: [{{ contract: caddy }}] }}\n    - {both}");
    for (from, to, moved) in [
        ("", "", &[][..]),
        ("127.0.0.1:1", "127.0.0.1:9", &["listen.envoy_grpc"]),
        ("trusted_hops: 1", "trusted_hops: 2", &["listen.envoy_grpc"]),
        (
            "trusted_hops: 1",
            "trusted_hops: 1, allowed_peers: ['10.0.0.0/8']",
            &["listen.envoy_grpc"],
        ),
        (
            both.as_str(),
            turned.as_str(),
            &["listen.http[0]", "listen.http[1]"],
        ),
        (
            both.as_str(),
            fresh.as_str(),
            &["listen.http[0]", "listen.http[1]"],
        ),
        (both.as_str(), first, &["listen.http[1]"]),
        ("contract: nginx", "contract: caddy", &["listen.http[0]"]),
        ("10.0.0.0/8", "10.0.0.0/16", &["listen.http[1]"]),
        ("127.0.0.1:4", "127.0.0.1:9", &["admin"]),
        ("127.0.0.1:5", "127.0.0.1:9", &["authority"]),
        // These come into force while it runs.
        ("policies: [], listen", "policies: [a.cedar], listen", &[]),
        (
            "admin: 127.0.0.1:4",
            "admin: 127.0.0.1:4\nadmin_options: { policies: [b.cedar] }",
            &[],
        ),
    ] {
        assert!(CONFIG.contains(from), "{from}");
        let now = config(&CONFIG.replacen(from, to, 1));
        let expected = all.into_iter().filter(|name| !moved.contains(name));
        let steady = steady(&started, &now);
        assert!(steady.iter().map(String::as_str).eq(expected), "{to}: {steady:?}");
    }
}

#[test]
fn files_that_wait_are_named_as_settings() {
    let started = config(CONFIG);
    let waiting = ["listen.envoy_grpc", "listen.http[1]", "admin", "authority"];
    let named = [
        "listen.envoy_grpc_options.tls",
        "listen.http[1].tls",
        "admin_options.tls",
        "authority.tls",
    ];
    assert_eq!(changed(&started, &started, &waiting), named);
    assert_eq!(changed(&started, &started, &[]), Vec::<String>::new());
}
