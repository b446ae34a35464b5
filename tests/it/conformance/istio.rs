//! Cases 50 and 51: what Istio's sample of an external authorizer does, and its tests expect, by policies of ours.

use super::*;
use crate::doors::{exchange, listeners, request};

const OVERRIDE: &str = "x-ext-authz-additional-header-override";

const ROUTE: &str = r#"
  - { path: "/istio/{rest..}", methods: [GET], resource: { type: Catalogue, id: istio } }

# Groups of actions"#;

const MORE: &str = r#"
expose: { headers: [x-ext-authz] }
tcp: [{ destination_port: 9000, resource: { type: Catalogue, id: istio } }]
client_certificates: { name: mesh, trust_domains: [td.test] }
"#;

const ISTIO: &str = r#"
@id("istio-header")
permit (principal, action == Action::"GET", resource == Catalogue::"istio")
when { context.headers has "x-ext-authz" && context.headers["x-ext-authz"] == "allow" };

@id("istio-other-header") @status("403") @reason("denied by ext_authz")
forbid (principal, action == Action::"GET", resource == Catalogue::"istio")
when { context.headers has "x-ext-authz" && context.headers["x-ext-authz"] != "allow" };

@id("istio-service-account")
permit (principal is Robot, action, resource == Catalogue::"istio")
when { principal.subject == "spiffe://td.test/ns/x/sa/a" };
"#;

const A: &str = "spiffe://td.test/ns/x/sa/a";
const B: &str = "spiffe://td.test/ns/x/sa/b";

async fn istio() -> TestHouse {
    let alter = |text: String| {
        let text = text.replace("\n# Groups of actions", ROUTE);
        let declared = format!("identity_headers:\n  {OVERRIDE}: {{ template: \"asked for by {{type}}\" }}");
        listeners(text.replace("identity_headers:", &declared)) + MORE
    };
    TestHouse::with(alter, &[("istio.cedar", ISTIO)]).await
}

#[tokio::test]
async fn case_50_the_header_decides_and_the_providers_own_headers_win() {
    let house = istio().await;
    for (id, header, principal, over_grpc, over_http) in [
        ("the header allows", Some("allow"), "", true, true),
        ("the header denies", Some("deny"), "", false, false),
        ("the header denies whoever it is", Some("deny"), A, false, false),
        ("without it the account decides", None, A, true, false),
        ("another account", None, B, false, false),
        ("nobody", None, "", false, false),
    ] {
        let mut headers = vec![(OVERRIDE, "should-be-override")];
        headers.extend(header.map(|value| ("x-ext-authz", value)));
        let mut message = http("GET", "/istio/check", &headers);
        if let Some(attributes) = &mut message.attributes {
            attributes.source = Some(peer("9.9.9.9", 40_000, principal));
        }
        let answer = ask(&house, message).await;
        assert_eq!(code(&answer) == 0, over_grpc, "{id}: {answer:#?}");
        if over_grpc {
            let set = allowed(&answer)
                .headers
                .iter()
                .filter_map(|option| option.header.as_ref());
            let value = set
                .clone()
                .find(|header| header.key == OVERRIDE)
                .map(|header| header.value.as_str());
            let who = if principal == A { "Robot" } else { "Anonymous" };
            assert_eq!(value, Some(format!("asked for by {who}").as_str()), "{id}");
        } else if header.is_some() {
            assert_eq!(denied(&answer, 7, 403).body, "denied by ext_authz", "{id}");
        }

        let mut sent: Vec<(&str, &[u8])> = vec![("host", b"api.example.test")];
        sent.extend(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        let reply = exchange(house.http(), &request("GET", b"/check/istio/check", &sent, b"")).await;
        assert_eq!(reply.status == 200, over_http, "{id}: {reply:?}");
        if over_http {
            assert_eq!(reply.header(OVERRIDE), Some("asked for by Anonymous"), "{id}");
        } else if header.is_some() {
            assert_eq!(
                (reply.status, &reply.body[..]),
                (403, &b"denied by ext_authz"[..]),
                "{id}"
            );
        }
    }
}

#[tokio::test]
async fn case_51_a_connection_is_judged_by_its_account() {
    let house = istio().await;
    for (principal, port, passes) in [
        (A, 9000, true),
        (B, 9000, false),
        ("", 9000, false),
        (A, 9001, false),
    ] {
        let message = CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(peer("9.9.9.9", 40_000, principal)),
                destination: Some(peer("10.0.0.1", port, "")),
                ..AttributeContext::default()
            }),
        };
        let answer = ask(&house, message).await;
        assert_eq!(code(&answer) == 0, passes, "{principal} {port}: {answer:#?}");
    }
}
