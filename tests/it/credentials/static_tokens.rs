//! Tokens that the configuration knows, from the environment and from files.

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::{people, stage};

use super::passed;
use crate::house::{Front, until};
use crate::served::Served;

const CI: &str = "ci-token-of-the-environment";
const BACKUP: &str = "backup-token-of-a-file";
const HASHED: &str = "hashed-token-0123456789";

const SETTINGS: &str = "
static_tokens:
  tokens:
    - token: ${TESTS_CI}
      subject: ci
      groups: [builders, ws-alice]
      roles: { ws-alice: [ws_api] }
    - token: { $file: backup-token }
      subject: backup
      type: Client
      scopes: [catalogue]
    # printf %s hashed-token-0123456789 | sha256sum
    - sha256: b22fd458dbe2426bebe59cfafe4c46e013df3efd439e4d91cda767ac3052ddd0
      subject: hashed
";

#[tokio::test]
async fn tokens_of_the_environment_and_of_files_are_robots_and_clients() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = stage::config_text(&issuer) + SETTINGS;
    let backup = format!("{BACKUP}\n");
    let served = Served::start(&config, &[("backup-token", &backup)], &[("TESTS_CI", CI)]).await;
    let Some(front) = Front::start(served.grpc(), |options| options).await else {
        return;
    };
    let credentials = "/workspaces/ws-alice/credentials/x";
    for (token, target, told) in [
        (
            CI,
            "/public/hello",
            &[
                ("x-auth-type", "Robot"),
                ("x-auth-principal", "static/ci"),
                ("x-auth-subject", "ci"),
                ("x-auth-groups", "builders,ws-alice"),
            ][..],
        ),
        // Only the role of a robot opens this.
        (CI, credentials, &[("x-auth-type", "Robot")]),
        (
            BACKUP,
            "/catalogue/x",
            &[("x-auth-type", "Client"), ("x-auth-principal", "static/backup")],
        ),
        (
            HASHED,
            "/public/hello",
            &[("x-auth-type", "Robot"), ("x-auth-principal", "static/hashed")],
        ),
    ] {
        passed(
            &front.get(target, token).await,
            told,
            &format!("{token} {target}"),
        );
        // What the client says of itself never gets further than here.
        let bearer = format!("Bearer {token}");
        let spoofed = [
            ("authorization", bearer.as_str()),
            ("x-auth-principal", "static/root"),
            ("X-AUTH-TYPE", "User"),
            ("x-auth-groups", "admins"),
            ("x_auth_subject", "root"),
            ("x-auth-name", "root"),
        ];
        let got = front.send("GET", target, &spoofed, bytes::Bytes::new()).await;
        passed(&got, told, &format!("spoofed {token} {target}"));
        for header in ["x_auth_subject", "x-auth-name"] {
            assert_eq!(got.at_upstream(header), [""; 0], "{header} {token}");
        }
    }
    for (token, target, status) in [
        (HASHED, credentials, 403),
        (BACKUP, credentials, 403),
        (CI, "/catalogue/x", 403),
        ("ci-token-of-the-environmenT", "/public/hello", 401),
        ("ci-token-of-the-environment2", "/public/hello", 401),
        ("ci-token-of-the-environmen", "/public/hello", 401),
        ("${TESTS_CI}", "/public/hello", 401),
        (
            "b22fd458dbe2426bebe59cfafe4c46e013df3efd439e4d91cda767ac3052ddd0",
            "/public/hello",
            401,
        ),
    ] {
        let got = front.get(target, token).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{token} {target}"
        );
    }
    let alice = people::alice(&issuer).token;
    let got = front.get("/workspaces/ws-alice", &alice).await;
    passed(
        &got,
        &[("x-auth-type", "User")],
        "an issuer's token, all the same",
    );

    until("all is written", async || {
        served.decisions().lines().count() == 17
    })
    .await;
    for secret in [CI, BACKUP, HASHED, "environmenT", &alice] {
        assert!(!served.log().contains(secret), "{secret} is in the log");
        assert!(
            !served.decisions().contains(secret),
            "{secret} is in the decision log"
        );
    }
}
