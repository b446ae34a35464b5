//! Through a real HAProxy with the configuration in `deploy/haproxy`.

use portcullis::demo::people;
use portcullis::demo::tools::DebianTool;

use crate::envoy::DECISION_ID;
use crate::proxy::{Denials, Program, Tool, proofs, replaced};

static HAPROXY: Program = Program {
    tool: Tool::Debian(DebianTool {
        package: "haproxy",
        libraries: &["liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1"],
    }),
    command: "haproxy",
    contract: "haproxy",
    files: &[
        ("haproxy.cfg", include_str!("../../deploy/haproxy/haproxy.cfg")),
        (
            "portcullis.lua",
            include_str!("../../deploy/haproxy/portcullis.lua"),
        ),
    ],
    changes: &[
        ("bind :10080", "bind {own}"),
        // On a busy machine a second may pass before a thread gets its turn.
        ("127.0.0.1:9193 /haproxy 2000", "{authz} /haproxy 20000"),
        ("session-timeout 10s", "session-timeout 60s"),
        ("/etc/haproxy/portcullis.lua", "{dir}/portcullis.lua"),
        ("127.0.0.1:8000", "{upstream}"),
    ],
    arguments: &["-db", "-f", "{dir}/haproxy.cfg"],
    readme: include_str!("../../deploy/haproxy/README.md"),
    denials: Denials::Said,
};

#[tokio::test]
async fn verdicts_reach_the_client_and_the_upstream() {
    proofs::verdicts(&HAPROXY, ROWS).await;
}

#[tokio::test]
async fn denials_look_as_the_route_says() {
    proofs::answers(&HAPROXY).await;
}

#[tokio::test]
async fn spoofed_headers_never_reach_the_upstream() {
    let house = HAPROXY.house(|text| text).await;
    let Some(proxy) = HAPROXY.start(&house).await else {
        return;
    };
    proofs::nothing_of_nobody(&proxy).await;
    proofs::spoofed_headers(&house, &proxy, "_", 200).await;
}

/// HAProxy drops, without a word, a header for which its buffer has no room.
#[tokio::test]
async fn a_request_passes_with_all_identity_headers_or_not_at_all() {
    let house = HAPROXY.house(|text| text).await;
    let Some(proxy) = HAPROXY.start(&house).await else {
        return;
    };
    let mut claims = people::alice_claims();
    let groups: Vec<String> = (0..40)
        .map(|number| format!("/{}-{number:02}", "g".repeat(50)))
        .collect();
    claims["groups"] = groups.into();
    let bearer = format!("Bearer {}", house.issuer.token(claims));
    let mut statuses = Vec::new();
    for padding in (0..14_000).step_by(500) {
        let padding = "x".repeat(padding);
        let headers = [("authorization", bearer.as_str()), ("x-padding", &padding)];
        let got = proxy.send("GET", "/workspaces/ws-alice", &headers).await;
        if got.seen.is_some() {
            let groups = got.at_upstream("x-auth-groups").concat();
            assert_eq!(
                (got.status, groups.matches("ggg-").count()),
                (200, 40),
                "{}",
                padding.len()
            );
            for name in ["x-auth-principal", "x-auth-type", "x-auth-name", DECISION_ID] {
                assert_eq!(got.at_upstream(name).len(), 1, "{name} {}", padding.len());
            }
        }
        statuses.push(got.status);
    }
    statuses.dedup();
    // 400: HAProxy itself, for what does not fit at all.
    assert_eq!(statuses, [200, 503, 400]);
}

#[tokio::test]
async fn what_clients_claim_changes_nothing() {
    let refused = [
        "x-http-method-override",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "x-rewrite-url",
        "x_forwarded_uri",
        "x_forwarded_for",
        "x_original_url",
        "x_original_method",
        "x_real_ip",
    ];
    proofs::claims(&HAPROXY, &refused).await;
}

#[tokio::test]
async fn no_header_of_ours_is_one_of_the_connection() {
    proofs::connection_headers(&HAPROXY).await;
}

#[tokio::test]
async fn an_upgrade_needs_a_yes() {
    proofs::upgrades(&HAPROXY).await;
}

#[tokio::test]
async fn nothing_passes_while_portcullis_is_stopped() {
    proofs::outage(&HAPROXY, 503).await;
}

#[tokio::test]
async fn what_is_no_verdict_is_a_failure() {
    let impatient = |name: &str, text: String| match name {
        "haproxy.cfg" => replaced(&text, "/haproxy 20000", "/haproxy 300"),
        _ => text,
    };
    proofs::no_verdict(&HAPROXY, impatient, 503).await;
}

#[tokio::test]
async fn connections_to_portcullis_are_kept() {
    proofs::kept_connections(&HAPROXY).await;
}

#[tokio::test]
async fn the_host_that_is_judged_is_the_upstreams() {
    proofs::hosts(&HAPROXY, 400).await;
}

#[tokio::test]
async fn a_whole_url_is_judged_as_the_upstream_sees_it() {
    proofs::whole_urls(&HAPROXY).await;
}

#[tokio::test]
async fn a_body_goes_to_the_upstream_only() {
    proofs::bodies(&HAPROXY).await;
}

#[tokio::test]
async fn the_query_that_is_judged_is_the_upstreams() {
    proofs::queries(&HAPROXY).await;
}

/// Paths that HAProxy treats in its own way, and the refusals of Portcullis, which gets every path as it came.
const ROWS: &str = "
    nobody         OPTIONS *                                           400 malformed
    nobody         GET     /public/café                                400 -
    nobody         GET     /public/%61                                 200 permitted
    alice          GET     /haproxy                                    403 no_route
    # HAProxy passes every path on as it is, so all of these are refused by Portcullis.
    alice          GET     /public/../workspaces/ws-bob                400 ambiguous_path
    alice          GET     /public/%2e%2e/workspaces/ws-bob            400 ambiguous_path
    alice          GET     /public/..%2fworkspaces                     400 ambiguous_path
    alice          GET     /public/..%5cworkspaces                     400 ambiguous_path
    alice          GET     /public/..\\workspaces                      400 ambiguous_path
    alice          GET     /public/..;/workspaces                      400 ambiguous_path
    alice          GET     /public/a;b                                 400 ambiguous_path
    alice          GET     //workspaces/ws-alice                       400 ambiguous_path
    alice          GET     /workspaces//ws-alice                       400 ambiguous_path
    alice          GET     /./workspaces/ws-alice                      400 ambiguous_path
    alice          GET     /public/../../workspaces                    400 ambiguous_path
    alice          GET     /public/%00                                 400 ambiguous_path
    alice          GET     /public/%zz                                 400 ambiguous_path
    alice          GET     /workspaces/ws-alice%252fx                  400 ambiguous_path
    nobody         GET     /public/#/workspaces                        400 -
";

#[tokio::test]
async fn people_are_sent_to_the_login_if_the_proxy_can_do_that() {
    proofs::login(&HAPROXY, 302).await;
}
