//! Its tokens: of a client acting for itself, of a person who logged in, and the ID token that is none of our business.

use std::collections::BTreeMap;

use bytes::Bytes;
use portcullis::demo::http;
use serde_json::Value;

use super::provider::Provider;
use super::{house, record_of};

const ALICE_READS_HERS: &str = r#"
@id("alice-reads-hers")
permit (principal == User::"idp/alice", action in Action::"read", resource is Workspace)
when { resource.workspace == "ws-alice" && context.scopes.contains("workspaces") };
"#;

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT_URI: &str = "https%3A%2F%2Fportal.example.test%2Fcallback";
const CALLBACK: &str = "https://portal.example.test/callback?";

/// What a login brings.
pub(super) struct Login {
    pub(super) access: String,
    pub(super) id: String,
}

/// Authorization code with PKCE (RFC 6749 section 4.1, RFC 7636), as a browser and a public client do it.
pub(super) async fn log_in(provider: &Provider, client: &str, who: &str, more: &str) -> Login {
    let mut target = format!(
        "/auth?response_type=code&client_id={client}&redirect_uri={REDIRECT_URI}&scope=openid%20workspaces\
         &code_challenge={CHALLENGE}&code_challenge_method=S256&login_hint={who}{more}"
    );
    let mut cookies = BTreeMap::new();
    for _ in 0..6 {
        let jar: Vec<String> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let headers = [("cookie".to_owned(), jar.join("; "))];
        let answer = http::send(provider.address(), "GET", &target, &headers, Bytes::new()).await;
        let answer = answer.expect("an answer");
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().expect("text").split(';').next();
            let (name, value) = pair.and_then(|pair| pair.split_once('=')).expect("a cookie");
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get("location").and_then(|l| l.to_str().ok());
        let location = location.unwrap_or_else(|| panic!("no redirect: {answer:?}"));
        if let Some(query) = location.strip_prefix(CALLBACK) {
            let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
            let code = code.unwrap_or_else(|| panic!("no code: {query}"));
            let form = format!(
                "grant_type=authorization_code&client_id={client}&redirect_uri={REDIRECT_URI}\
                 &code={code}&code_verifier={VERIFIER}"
            );
            let tokens = provider.token_endpoint(form).await;
            let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
            return Login {
                access: text("access_token"),
                id: text("id_token"),
            };
        }
        target = location
            .strip_prefix(provider.issuer())
            .unwrap_or(location)
            .to_owned();
    }
    panic!("the login does not end: {target}");
}

#[tokio::test]
async fn a_client_with_its_own_credentials_is_judged_by_its_scope() {
    let Some(provider) = Provider::start().await else {
        return;
    };
    let Some((house, front)) = house(&provider, &[]).await else {
        return;
    };
    for (scope, target, status, reason) in [
        ("catalogue", "/catalogue/x", 200, "permitted"),
        ("catalogue", "/workspaces", 403, "no_permit"),
        ("catalogue", "/workspaces/ws-alice", 403, "no_permit"),
        ("catalogue", "/public/hello", 200, "permitted"),
        ("workspaces", "/catalogue/x", 403, "no_permit"),
        ("catalogue%20workspaces", "/catalogue/x", 200, "permitted"),
    ] {
        let token = provider.client_token(scope).await;
        let got = front.get(target, &token).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{scope} {target}"
        );
        let record = record_of(&house, &got);
        assert_eq!(record["reason"], reason, "{scope} {target}: {record}");
        if status == 200 {
            for (header, value) in [
                ("x-auth-principal", "idp/harvester"),
                ("x-auth-type", "Client"),
                ("x-auth-client", "harvester"),
            ] {
                assert_eq!(got.at_upstream(header), [value], "{header}");
            }
        }
    }
}

#[tokio::test]
async fn a_person_who_logged_in_is_a_user_and_the_id_token_opens_nothing() {
    let Some(provider) = Provider::start().await else {
        return;
    };
    let policies = [("alice.cedar", ALICE_READS_HERS)];
    let Some((house, front)) = house(&provider, &policies).await else {
        return;
    };
    for (who, target, status) in [
        ("alice", "/workspaces/ws-alice", 200),
        ("alice", "/workspaces/ws-bob", 403),
        ("alice", "/workspaces", 403),
        ("alice", "/catalogue/x", 403),
        ("bob", "/workspaces/ws-alice", 403),
    ] {
        let login = log_in(&provider, "portal", who, "").await;
        let got = front.get(target, &login.access).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{who} {target}"
        );
        if status == 200 {
            assert_eq!(got.at_upstream("x-auth-principal"), ["idp/alice"]);
            assert_eq!(got.at_upstream("x-auth-type"), ["User"]);
            assert_eq!(got.at_upstream("x-auth-client"), ["portal"]);
        }
    }
    // The second client has the API's own name, so its ID tokens have the audience that access tokens have.
    for (client, more, why) in [
        ("portal", "", "not for us"),
        ("portal", "&nonce=n-0S6_WzA2Mj", "not for us"),
        ("workspace-api", "&nonce=n-0S6_WzA2Mj", "ID token"),
        ("workspace-api", "", "nothing marks this as an access token"),
    ] {
        let login = log_in(&provider, client, "alice", more).await;
        assert_eq!(front.get("/workspaces/ws-alice", &login.access).await.status, 200);
        for target in ["/workspaces/ws-alice", "/public/hello"] {
            let got = front.get(target, &login.id).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (401, false),
                "{client} {more} {target}"
            );
            let record: Value = record_of(&house, &got);
            assert_eq!(record["reason"], "credential_refused", "{record}");
            assert!(
                record["why"].as_str().is_some_and(|said| said.contains(why)),
                "{record}"
            );
        }
    }
}
