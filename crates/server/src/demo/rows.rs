//! The rows of the demo: who asks for what, what must come of it, and what must reach the upstream.

use super::issuer::LocalIssuer;
use super::keys::KeyError;
use super::people;

/// One request and what it must come to.
#[derive(Debug)]
pub(super) struct Row {
    /// Who, in words.
    pub who: &'static str,
    /// The bearer token, if any.
    pub token: Option<String>,
    /// Method.
    pub method: &'static str,
    /// Path, sent as it stands.
    pub path: &'static str,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The HTTP status that the client must get.
    pub status: u16,
    /// The subject that the upstream must be told, on an allow; empty for nobody.
    pub subject: &'static str,
}

/// All rows, with tokens of `issuer`.
///
/// # Errors
/// No key for the forged token.
pub(super) fn all(issuer: &LocalIssuer) -> Result<Vec<Row>, KeyError> {
    let alice = people::alice(issuer).token;
    let admin = people::admin(issuer).token;
    let robot = people::robot(issuer).token;
    let client = people::client(issuer).token;
    let user = |method, path, status| row("user alice", Some(&alice), method, path, status, people::ALICE);
    let boss = |method, path| row("user admin", Some(&admin), method, path, 200, people::ADMIN);
    let bad = |what, token: &str| row(what, Some(token), "GET", "/workspaces/ws-alice", 401, "");
    let mut rows = vec![
        user("GET", "/workspaces/ws-alice", 200),
        user("GET", "/workspaces/ws-alice/files/scene.tif", 200),
        user("GET", "/workspaces/ws-bob", 403),
        user("GET", "/workspaces/ws-alice2", 403),
        user("GET", "/workspaces", 403),
        user("POST", "/workspaces", 403),
        user("DELETE", "/workspaces/ws-alice", 403),
        boss("GET", "/workspaces"),
        boss("POST", "/workspaces"),
        boss("DELETE", "/workspaces/ws-alice"),
        row(
            "robot ws-alice",
            Some(&robot),
            "GET",
            "/workspaces/ws-alice/credentials",
            200,
            people::ROBOT,
        ),
        row(
            "robot ws-alice",
            Some(&robot),
            "GET",
            "/workspaces/ws-alice/members",
            403,
            "",
        ),
        row(
            "client portal",
            Some(&client),
            "GET",
            "/catalogue/collections",
            200,
            people::CLIENT,
        ),
        row(
            "client portal",
            Some(&client),
            "GET",
            "/workspaces/ws-alice",
            403,
            "",
        ),
        row("nobody", None, "GET", "/public/hello", 200, ""),
        row("nobody", None, "GET", "/workspaces/ws-alice", 401, ""),
        bad("expired token", &people::expired(issuer).token),
        bad("forged token", &people::forged(issuer)?.token),
        bad("alg:none token", &people::unsigned(issuer).token),
        bad("wrong issuer", &people::wrong_issuer(issuer).token),
        bad("wrong audience", &people::wrong_audience(issuer).token),
        user("GET", "/workspaces/ws-alice/../ws-bob", 400),
        user("GET", "/workspaces/ws-alice%2f..%2fws-bob", 400),
    ];
    // The same, with identity headers of the client's own making.
    let spoofed = [
        ("x-auth-subject", "root"),
        ("x-auth-type", "User"),
        ("x_auth_subject", "root"),
    ];
    for (who, token, path, subject) in [
        (
            "alice as \"root\"",
            Some(&alice),
            "/workspaces/ws-alice",
            people::ALICE,
        ),
        ("nobody as \"root\"", None, "/public/hello", ""),
    ] {
        let mut row = row(who, token.map(String::as_str), "GET", path, 200, subject);
        row.headers = spoofed
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        rows.push(row);
    }
    Ok(rows)
}

fn row(
    who: &'static str,
    token: Option<&str>,
    method: &'static str,
    path: &'static str,
    status: u16,
    subject: &'static str,
) -> Row {
    Row {
        who,
        token: token.map(str::to_owned),
        method,
        path,
        headers: Vec::new(),
        status,
        subject,
    }
}

impl Row {
    /// The headers to send.
    pub(super) fn request_headers(&self) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        if let Some(token) = &self.token {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        headers
    }
}
