//! Commands that are not run as they stand on the page: those that cannot be run here, with the reason, and words that
//! stand for something else. A row that no page needs any more is a failure.

/// How a command begins that cannot be run here, and why, or what runs it.
pub(super) const NOT_HERE: &[(&str, &str)] = &[
    // What builds this repository.
    (
        "cargo run --release -- demo",
        "builds the server anew; `crates/server/tests/cli/demo.rs` runs the demo",
    ),
    ("cargo xtask test", "is what runs this test"),
    (
        "cargo xtask image",
        "builds the server anew; `cargo xtask test` runs it, and unpacks and starts the image",
    ),
    ("cargo xtask bench", "takes an hour; its numbers are no test"),
    (
        "RUSTFLAGS=-Cprofile-",
        "builds the server for its profile, by hand",
    ),
    (
        "target/x86_64-unknown-linux-gnu/dist/portcullis serve",
        "is what those lines build",
    ),
    ("llvm-profdata merge", "needs the profile of a day"),
    // What needs a registry, a container engine or a cluster.
    (
        "skopeo copy",
        "needs a registry; `cargo xtask test` reads the archive",
    ),
    (
        "podman load",
        "needs a container engine; `cargo xtask test` unpacks and starts the image",
    ),
    (
        "docker run",
        "needs a container engine; `cargo xtask test` unpacks and starts the image",
    ),
    (
        "helm install",
        "needs a cluster; `tests/it/deploy/helm.rs` renders the chart and has Kubernetes' schema take it",
    ),
    (
        "kubectl kustomize deploy/kubernetes",
        "needs kubectl; `tests/it/deploy/plain.rs` runs it",
    ),
    (
        "kubectl apply -k deploy/kubernetes",
        "needs a cluster; `tests/it/deploy/plain.rs` builds the same",
    ),
    ("kubectl -n portcullis port-forward", "needs a cluster"),
    // Proxies, each run by tests with the very files of its folder.
    (
        "envoy -c deploy/envoy/envoy.yaml",
        "needs Envoy; `tests/it/envoy/deploy.rs` starts it with this file",
    ),
    (
        "curl -i http://127.0.0.1:10000/",
        "asks that Envoy; `tests/it/envoy/deploy.rs` asks it more",
    ),
    (
        "caddy run --config deploy/caddy/Caddyfile",
        "needs Caddy; `tests/it/caddy.rs` starts it with this file",
    ),
    (
        "cd deploy/traefik && traefik",
        "needs Traefik; `tests/it/traefik.rs` starts it with these files",
    ),
    (
        "curl -i http://127.0.0.1:8080/",
        "asks that Caddy or Traefik; `tests/it/proxy/proofs.rs` asks them more",
    ),
    (
        "haproxy -db -f deploy/haproxy/haproxy.cfg",
        "needs HAProxy; `tests/it/haproxy.rs` starts it with these files",
    ),
    (
        "nginx -p /tmp -c",
        "needs nginx; `tests/it/nginx.rs` starts it with this file",
    ),
    (
        "curl -i http://127.0.0.1:10080/",
        "asks that nginx or HAProxy; `tests/it/proxy/proofs.rs` asks them more",
    ),
    (
        "curl -X PUT -H \"X-API-KEY: $KEY\"",
        "needs an APISIX; `tests/it/deploy/folders.rs` compares these files with one that APISIX takes",
    ),
    // Programs and servers that are not here.
    (
        "grpcurl ",
        "needs grpcurl; `tests/it/authority/admin/grpc.rs` asks the same over gRPC, by reflection",
    ),
    (
        "portcullis demo",
        "fetches Envoy; `crates/server/tests/cli/demo.rs` runs it, and `cargo xtask test` with Envoy",
    ),
    (
        "portcullis check --server https://gate.example.org:9191",
        "the same is run on docs/tls.md, where a server has a certificate",
    ),
    (
        "curl -H \"Authorization: Bearer $TOKEN\" https://a.example.org/network/nodes/node-b/token",
        "asks a second node; `tests/it/authority/federation.rs` has two",
    ),
    (
        "curl -H \"Authorization: Bearer 0f9a…\" https://b.example.org/",
        "goes through the proxy of a second node; `tests/it/authority/federation.rs` asks it",
    ),
];

/// What stands on a page, and what a shell reads in its place: values that differ each time, and what has to be there before.
pub(super) const STANDS_FOR: &[(&str, &str)] = &[
    // Files and credentials that readers have of their own.
    ("'authorization: Bearer …'", "\"authorization: Bearer $TOKEN\""),
    ("ws-alice -H …'", "ws-alice'"),
    ("/etc/portcullis/", "$HOME/"),
    ("/path/to/magpie/config/", "$HOME/magpie/"),
    // What has a name of its own each time.
    ("--decision 0b6f…", "--decision $(denied)"),
    ("0b6f2d1c", "$(delegated)"),
    ("lift 3f8e…", "lift $(first id revoke list)"),
    ("lift 3f8e0c52", "lift $(first id revoke list)"),
    ("token-2026-11", "$(old_key)"),
    // Who is there before, and who is not.
    (
        "portcullis node add node-b",
        "no_node; portcullis node add node-b",
    ),
    ("portcullis node show", "node node-b; portcullis node show"),
    ("portcullis node change", "node node-b; portcullis node change"),
    ("portcullis node remove", "node node-b; portcullis node remove"),
    ("portcullis remote-user list", "bob; portcullis remote-user list"),
    ("portcullis remote-user add", "no_bob; portcullis remote-user add"),
    ("portcullis remote-user show", "bob; portcullis remote-user show"),
    ("portcullis remote-user map", "bob; portcullis remote-user map"),
    (
        "portcullis remote-user unmap",
        "bob; portcullis remote-user unmap",
    ),
    (
        "portcullis remote-user remove",
        "bob; portcullis remote-user remove",
    ),
    // Addresses of the server that runs here.
    ("https://portcullis.example.org:9191", "https://$GRPC"),
    ("https://portcullis.example.org:9192", "https://$ADMIN"),
    ("https://gate.example.org/token", "http://$AUTHORITY/token"),
    (
        "https://a.example.org/network/nodes --json",
        "http://$AUTHORITY/network/nodes --json",
    ),
    (
        "https://b.example.org/network/remote_users",
        "$(node_b)/network/remote_users",
    ),
    ("http://collector.example:4318", "http://127.0.0.1:1"),
    // A configuration with an authority.
    (
        "--config portcullis.yaml --authority",
        "--config house.yaml --authority",
    ),
    // Ports that somebody else may have, and half a minute. `doctor.rs` looks at a server that runs.
    ("--admin 127.0.0.1:9292", "--admin 127.0.0.1:0"),
    (
        "PORTCULLIS_LISTEN_ENVOY_GRPC=0.0.0.0:9191",
        "PORTCULLIS_LISTEN_ENVOY_GRPC=127.0.0.1:0",
    ),
    (
        "portcullis doctor",
        "PORTCULLIS_ADMIN=127.0.0.1:0; PORTCULLIS_LISTEN_ENVOY_GRPC=127.0.0.1:0; portcullis doctor",
    ),
    ("--listen 30", "--listen 1"),
    // The files of others, which would be written over.
    (
        "portcullis init --pack default my-gate",
        "rm -rf my-gate; portcullis init --pack default my-gate",
    ),
    (
        "portcullis init --pack default --force .",
        "(mkdir anew && cd anew && portcullis init --pack default --force .)",
    ),
];

/// What a command has in it that ends otherwise than with 0 though its page shows no answer, and the code.
pub(super) const ENDS_WITH: &[(&str, i32)] = &[
    // No route is for it.
    ("https://api.example.test/x", 3),
    // A curl command without the token that the page leaves out.
    ("ws-alice -H …'", 3),
    // A denial, asked about again.
    ("--decision 0b6f…", 3),
];
