//! The rule of the workspaces, row by row: who may do what, and how each answer looks from all sides.

use bytes::Bytes;
use portcullis::demo::envoy::HeaderForm;

use super::{HEADER_FORMS, ask, front, record_of, token};
use crate::house::{Front, TestHouse};

/// Who, method, target, status at the client, class of the reason in the record.
const ALICE: &str = "
    alice          GET     /workspaces/ws-alice                        200 permitted
    alice          GET     /workspaces/ws-alice/                       200 permitted
    alice          GET     /workspaces/ws-alice/x                      200 permitted
    alice          GET     /workspaces/ws-alice/a/b.tif?c=/../d        200 permitted
    alice          PUT     /workspaces/ws-alice                        200 permitted
    alice          PATCH   /workspaces/ws-alice/x                      200 permitted
    # The member of one workspace, at others that look like it.
    alice          GET     /workspaces/ws-bob                          403 no_permit
    alice          GET     /workspaces/ws-bob/x                        403 no_permit
    alice          GET     /workspaces/ws-alice2                       403 no_permit
    alice          GET     /workspaces/ws-alic                         403 no_permit
    alice          GET     /workspaces/WS-ALICE                        403 no_permit
    alice          GET     /workspaces/workspace-api                   403 forbidden
    alice          GET     /workspaces                                 403 no_permit
    alice          HEAD    /workspaces                                 403 no_permit
    alice          GET     /workspaces/                                403 no_route
    alice          GET     /WORKSPACES/ws-alice                        403 no_route
    alice          GET     /ws-alice                                   403 no_route
    alice          GET     /                                           403 no_route
    # Making and deleting is for administrators.
    alice          POST    /workspaces                                 403 no_permit
    alice          DELETE  /workspaces                                 403 no_permit
    alice          POST    /workspaces/ws-alice                        403 no_permit
    alice          DELETE  /workspaces/ws-alice                        403 no_permit
    alice          DELETE  /workspaces/ws-alice/x                      403 no_permit
    alice          PURGE   /workspaces/ws-alice                        403 no_method
    alice          GET     /catalogue/collections                      403 no_permit
    # Paths that two parsers could read differently.
    alice          GET     //workspaces/ws-alice                       400 ambiguous_path
    alice          GET     /workspaces//ws-alice                       400 ambiguous_path
    alice          GET     /workspaces/ws-alice/../ws-bob              400 ambiguous_path
    alice          GET     /workspaces/ws-alice/%2e%2e/ws-bob          400 ambiguous_path
    alice          GET     /workspaces/ws-alice%2f..%2fws-bob          400 ambiguous_path
    alice          GET     /workspaces/ws-alice%252fx                  400 ambiguous_path
    alice          GET     /workspaces/ws-alice;x/y                    400 ambiguous_path
    alice          GET     /workspaces/ws-alice/%zz                    400 ambiguous_path
    alice          GET     /workspaces/ws-alice%00                     400 ambiguous_path
";

const OTHERS: &str = "
    admin          GET     /workspaces                                 200 permitted
    admin          POST    /workspaces                                 200 permitted
    admin          DELETE  /workspaces                                 200 permitted
    admin          GET     /workspaces/ws-alice                        200 permitted
    admin          POST    /workspaces/ws-alice                        200 permitted
    admin          DELETE  /workspaces/ws-alice                        200 permitted
    admin          GET     /workspaces/workspace-api                   403 forbidden
    admin          GET     /catalogue/collections                      403 no_permit
    admin          GET     /unknown                                    403 no_route
    robot          GET     /workspaces/ws-alice/credentials            200 permitted
    robot          POST    /workspaces/ws-alice/credentials            403 no_method
    robot          GET     /workspaces/ws-alice/credentials/           200 permitted
    alice          PUT     /workspaces/ws-alice/credentials/           403 no_method
    robot          GET     /workspaces/ws-bob/credentials              403 no_permit
    robot          GET     /workspaces/ws-alice/members                403 no_permit
    robot          GET     /workspaces/ws-alice                        403 no_permit
    robot          GET     /public/hello                               200 permitted
    client         GET     /catalogue/collections                      200 permitted
    client         POST    /catalogue/collections                      403 no_method
    client         GET     /workspaces/ws-alice                        403 no_permit
    client         GET     /workspaces/ws-alice/credentials            403 no_permit
";

const NOBODY: &str = "
    nobody         GET     /public/hello                               200 permitted
    nobody         GET     /public/                                    200 permitted
    nobody         POST    /public/hello                               401 no_method
    nobody         GET     /publicity                                  401 no_route
    nobody         GET     /public/../workspaces                       400 ambiguous_path
    nobody         GET     /public/..%2fworkspaces                     400 ambiguous_path
    nobody         GET     /workspaces                                 401 credential_missing
    nobody         GET     /workspaces/ws-alice                        401 credential_missing
    nobody         HEAD    /workspaces/ws-alice                        401 credential_missing
    nobody         GET     /workspaces/ws-alice?access_token=secret    401 credential_missing
    nobody         GET     /catalogue/collections                      401 credential_missing
    nobody         OPTIONS /workspaces/ws-alice                        401 no_method
    nobody         GET     /unknown                                    401 no_route
";

/// A bad credential is worse than none: not even what everybody may see is there for it.
const REFUSED: &str = "
    expired        GET     /workspaces/ws-alice                        401 credential_refused
    forged         GET     /workspaces/ws-alice                        401 credential_refused
    alg:none       GET     /workspaces/ws-alice                        401 credential_refused
    wrong-issuer   GET     /workspaces/ws-alice                        401 credential_refused
    wrong-audience GET     /workspaces/ws-alice                        401 credential_refused
    expired        GET     /public/hello                               401 credential_refused
    forged         GET     /public/hello                               401 credential_refused
    alg:none       HEAD    /public/hello                               401 credential_refused
    forged         GET     /unknown                                    401 credential_refused
";

async fn check(house: &TestHouse, front: &Front, row: &str) {
    let [who, method, target, status, reason] = row.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("not a row: {row}");
    };
    let status: u16 = status.parse().expect("a status");
    let (allowed, path_and_query) = (status == 200, target.split_once('?'));
    let bearer = token(house, who).map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|b| ("authorization", b.as_str())).collect();

    let got = front.send(method, target, &headers, Bytes::new()).await;
    assert_eq!(got.status, status, "{row}: {got:?}");
    let reached = got.seen.as_ref().map(|seen| seen.path.as_str());
    assert_eq!(
        reached,
        allowed.then_some(target),
        "{row}: what reached the upstream"
    );
    let challenge = match (status, &bearer) {
        (401, None) => Some("Bearer realm=\"portcullis\""),
        (401, Some(_)) => Some("Bearer realm=\"portcullis\", error=\"invalid_token\""),
        _ => None,
    };
    assert_eq!(got.header("www-authenticate"), challenge, "{row}");

    let record = record_of(house, &got);
    let verdict = if allowed { "allow" } else { "deny" };
    assert_eq!(
        (&record["verdict"], &record["reason"]),
        (&verdict.into(), &reason.into()),
        "{row}"
    );
    assert_eq!(
        record["status"].as_u64(),
        (!allowed).then_some(status.into()),
        "{row}"
    );
    let text = record.to_string();
    let secrets = bearer.iter().flat_map(|bearer| bearer.split([' ', '.']));
    for secret in secrets.chain(path_and_query.map(|(_, query)| query)) {
        // The signature of `alg:none` is empty, and `Bearer` is no secret.
        assert!(
            secret.len() < 10 || !text.contains(secret),
            "{row}: {secret} is in the record: {text}"
        );
    }
}

/// Every row, however Envoy sends the headers.
async fn check_all(rows: &str) {
    let house = TestHouse::start().await;
    for form in HEADER_FORMS {
        let Some(front) = front(&house, form).await else {
            return;
        };
        let rows = rows.lines().map(str::trim);
        for row in rows.filter(|row| !row.is_empty() && !row.starts_with('#')) {
            check(&house, &front, row).await;
        }
    }
}

#[tokio::test]
async fn a_member_has_one_workspace() {
    check_all(ALICE).await;
}

#[tokio::test]
async fn administrators_robots_and_clients() {
    check_all(OTHERS).await;
}

#[tokio::test]
async fn nobody_sees_public_pages_only() {
    check_all(NOBODY).await;
}

#[tokio::test]
async fn a_refused_token_is_worse_than_none() {
    check_all(REFUSED).await;
}

/// The same client without the scope: what it may do is said by the token, not by who it is.
#[tokio::test]
async fn a_client_is_judged_by_its_scopes() {
    let house = TestHouse::start().await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
        return;
    };
    for (scope, status) in [
        ("openid catalogue", 200),
        ("catalogue", 200),
        ("openid", 403),
        ("openid catalogue.write xcatalogue", 403),
        ("CATALOGUE", 403),
    ] {
        let mut claims = portcullis::demo::people::client_claims();
        claims["scope"] = scope.into();
        let got = front
            .get("/catalogue/collections", &house.issuer.token(claims))
            .await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{scope}"
        );
    }
}

/// The caller reads one line that gives nothing away; the whole truth is in the record.
#[tokio::test]
async fn what_a_denied_caller_reads() {
    let house = TestHouse::start().await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
        return;
    };
    for (who, target, line, truth) in [
        (
            "nobody",
            "/workspaces/ws-alice",
            "a credential is needed",
            "no credential was presented",
        ),
        (
            "alice",
            "/workspaces/ws-bob",
            "access denied",
            "no policy permits this to",
        ),
        (
            "alice",
            "/workspaces/workspace-api",
            "this workspace name is reserved",
            "workspace-reserved-name",
        ),
        (
            "expired",
            "/workspaces/ws-alice",
            "the credential was refused",
            "expired",
        ),
        (
            "forged",
            "/workspaces/ws-alice",
            "the credential was refused",
            "signature",
        ),
        (
            "alice",
            "/a/../b",
            "the path can be read in more than one way",
            "dots",
        ),
    ] {
        let got = ask(&house, &front, who, "GET", target).await;
        assert_eq!(got.body, line, "{who} {target}");
        assert_eq!(
            got.header("content-type"),
            Some("text/plain; charset=utf-8"),
            "{who} {target}"
        );
        assert_eq!(got.header("cache-control"), Some("no-store"), "{who} {target}");
        let record = record_of(&house, &got);
        let why = record["why"].as_str().expect("a text");
        assert!(why.contains(truth), "{who} {target}: {why}");
    }
}
