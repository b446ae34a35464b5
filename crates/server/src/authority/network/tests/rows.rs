//! Each endpoint with each of its status codes, and the way from a request for a token to the link of two accounts.

use ::authority::NewRevocation;
use model::{Before, Revoked};

use super::*;

/// Method, target, who, body, status, and a part of the answer.
type Row<'r> = (&'r str, &'r str, &'r str, Value, u16, &'r str);

async fn check(side: &Side, rows: &[Row<'_>]) {
    for (method, target, who, body, status, part) in rows {
        let got = side.send(method, target, who, body).await;
        let row = format!("{method} {target} as {who:?} with {body}");
        assert_eq!(got.status, *status, "{row}: {got:?}");
        assert!(got.text.contains(part), "{row}: {got:?} has no {part}");
        let json = got.json();
        assert_eq!(json["code"], *status, "{row}");
        assert_eq!(json["type"], "application/json", "{row}");
        assert!(json["detail"].is_string(), "{row}");
    }
}

#[tokio::test]
async fn nodes_are_registered_shown_changed_and_removed() {
    let side = Side::start("node-a").await;
    let node = side.as_node("node-b");
    let with = |name: &str, value: Value| {
        let mut node = node.clone();
        node[name] = value;
        node
    };
    let without = |name: &str| {
        let mut node = node.clone();
        node.as_object_mut().unwrap().remove(name);
        node
    };
    let no = Value::Null;
    let (nodes, one) = ("/network/nodes", "/network/nodes/node-b");
    check(
        &side,
        &[
            ("GET", nodes, "", no.clone(), 401, ""),
            ("GET", nodes, "robot", no.clone(), 403, ""),
            (
                "GET",
                nodes,
                "00000000-0000-4000-8000-000000000000",
                no.clone(),
                401,
                "",
            ),
            ("POST", nodes, "", node.clone(), 401, ""),
            ("POST", nodes, "alice", node.clone(), 403, ""),
            ("POST", nodes, "admin", without("name"), 400, "`name` is missing"),
            ("POST", nodes, "admin", without("base_url"), 400, "base_url"),
            ("POST", nodes, "admin", without("jwks_url"), 400, "jwks_url"),
            ("POST", nodes, "admin", without("token_url"), 400, "token_url"),
            (
                "POST",
                nodes,
                "admin",
                without("authorization_url"),
                400,
                "authorization_url",
            ),
            (
                "POST",
                nodes,
                "admin",
                with("name", json!("node b")),
                400,
                "ASCII",
            ),
            ("POST", nodes, "admin", with("name", json!("nöde")), 400, "ASCII"),
            ("POST", nodes, "admin", with("name", json!("")), 400, "ASCII"),
            ("POST", nodes, "admin", with("name", json!(7)), 400, "not a text"),
            (
                "POST",
                nodes,
                "admin",
                with("jwks_url", json!("http://b.example.org/jwks")),
                400,
                "https",
            ),
            (
                "POST",
                nodes,
                "admin",
                with("token_url", json!("ftp://b.example.org/")),
                400,
                "https",
            ),
            (
                "POST",
                nodes,
                "admin",
                with("token_url", json!("https://u:p@b.example.org/")),
                400,
                "password",
            ),
            (
                "POST",
                nodes,
                "admin",
                with("base_url", json!("/relative")),
                400,
                "cannot be read",
            ),
            (
                "POST",
                nodes,
                "admin",
                with("authorization_url", json!("https://b.test/#x")),
                400,
                "fragment",
            ),
            (
                "POST",
                nodes,
                "admin",
                with("redirect_uris", json!(["javascript:alert(1)"])),
                400,
                "redirect_uris",
            ),
            (
                "POST",
                nodes,
                "admin",
                with("redirect_uris", json!(7)),
                400,
                "list of texts",
            ),
            ("POST", nodes, "admin", json!([]), 400, "JSON object"),
            ("GET", one, "admin", no.clone(), 404, "no such node"),
            ("POST", nodes, "admin", node.clone(), 201, ""),
            ("POST", nodes, "admin", node.clone(), 409, ""),
            ("GET", nodes, "admin", no.clone(), 200, "jwks_url"),
            (
                "GET",
                nodes,
                "alice",
                no.clone(),
                200,
                r#""nodes":[{"name":"node-b"}]"#,
            ),
            ("GET", one, "admin", no.clone(), 200, "authorization_url"),
            ("GET", one, "alice", no.clone(), 403, ""),
            (
                "PATCH",
                one,
                "alice",
                json!({"base_url": "https://b.test"}),
                403,
                "",
            ),
            ("PATCH", one, "admin", json!({}), 400, "Nothing"),
            (
                "PATCH",
                one,
                "admin",
                json!({"jwks_url": "http://b.test"}),
                400,
                "https",
            ),
            (
                "PATCH",
                one,
                "admin",
                json!({"base_url": "https://b.test/"}),
                200,
                "",
            ),
            ("GET", one, "admin", no.clone(), 200, "https://b.test/"),
            (
                "PATCH",
                "/network/nodes/node-c",
                "admin",
                json!({"base_url": "https://b.test"}),
                404,
                "",
            ),
            ("POST", nodes, "admin", with("name", json!("node-c")), 201, ""),
            ("PATCH", one, "admin", json!({"name": "node-c"}), 409, ""),
            (
                "PATCH",
                one,
                "admin",
                json!({"name": "node-d", "redirect_uris": "https://d.test/a https://d.test/b"}),
                200,
                "",
            ),
            ("GET", one, "admin", no.clone(), 404, ""),
            (
                "GET",
                "/network/nodes/node-d",
                "admin",
                no.clone(),
                200,
                r#"["https://d.test/a","https://d.test/b"]"#,
            ),
            ("DELETE", "/network/nodes/node-d", "alice", no.clone(), 403, ""),
            ("DELETE", "/network/nodes/node-d", "admin", no.clone(), 200, ""),
            ("DELETE", "/network/nodes/node-d", "admin", no.clone(), 404, ""),
            ("DELETE", "/network/nodes/node-d", "", no, 401, ""),
        ],
    )
    .await;
    // Forms are as good as JSON.
    let form: String = node
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "redirect_uris")
        .fold(
            "redirect_uris=%5B%22https%3A%2F%2Fe.test%2F%22%5D".to_owned(),
            |form, (name, value)| format!("{form}&{name}={}", value.as_str().unwrap()),
        );
    let headers = [
        (
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        ),
        ("authorization".to_owned(), authorization("admin")),
    ];
    assert_eq!(side.exchange("POST", nodes, &headers, form).await.status, 201);
}

#[tokio::test]
async fn remote_users_are_mapped_by_administrators_and_seen_by_themselves() {
    let side = Side::start("node-a").await;
    let added = side
        .send("POST", "/network/nodes", "admin", &side.as_node("node-b"))
        .await;
    assert_eq!(added.status, 201, "{added:?}");
    let user = |name: &str, local: &str| json!({"node_name": "node-b", "remote_user_name": name, "user_name": local});
    let no = Value::Null;
    let (users, one) = ("/network/remote_users", "/network/nodes/node-b/remote_users/rob");
    let mapped = r#""remote_user_name":"rob""#;
    check(&side, &[
        ("GET", users, "", no.clone(), 401, ""),
        ("GET", users, "alice", no.clone(), 403, ""),
        ("POST", users, "alice", user("rob", "alice"), 403, ""),
        ("POST", users, "admin", json!({"node_name": "node-b"}), 400, "remote_user_name"),
        ("POST", users, "admin", json!({"remote_user_name": "rob"}), 400, "node_name"),
        ("POST", users, "admin", user("", "alice"), 403, "empty"),
        ("POST", users, "admin", user("a\nb", "alice"), 400, "control"),
        ("POST", users, "admin", user("rob", "magpie_network_node-b"), 403, ""),
        ("POST", users, "admin", user("rob", "magpie_other"), 403, ""),
        ("POST", users, "admin", json!({"node_name": "x", "remote_user_name": "rob"}), 404, ""),
        ("POST", users, "admin", json!({"node_name": "node-b", "remote_user_name": "rob", "user": {"issuer": "house", "subject": "x"}}), 403, ""),
        ("POST", users, "admin", json!({"node_name": "node-b", "remote_user_name": "rob", "user": {"issuer": "main"}}), 400, "subject"),
        ("POST", users, "admin", user("rob", "alice"), 201, ""),
        ("POST", users, "admin", user("rob", "bob"), 409, ""),
        ("POST", users, "admin", user("ron", "alice"), 409, ""),
        ("POST", users, "admin", json!({"node_name": "node-b", "remote_user_name": "nobody-1"}), 201, ""),
        ("POST", users, "admin", json!({"node_name": "node-b", "remote_user_name": "nobody-2"}), 201, ""),
        ("GET", users, "admin", no.clone(), 200, r#""user_name":"magpie_network_node-b""#),
        ("GET", "/network/remote_users?user_name=alice", "admin", no.clone(), 200, mapped),
        ("GET", "/network/remote_users?user_name=carol", "admin", no.clone(), 200, r#""remote_users":[]"#),
        ("GET", "/network/remote_users?limit=1", "admin", no.clone(), 200, r#""next":"node-b/nobody-1""#),
        ("GET", "/network/remote_users?limit=1&after=node-b/nobody-1", "admin", no.clone(), 200, "nobody-2"),
        ("GET", "/network/remote_users?limit=0", "admin", no.clone(), 400, "limit"),
        ("GET", "/network/remote_users?limit=1&limit=2", "admin", no.clone(), 400, "twice"),
        ("GET", "/network/remote_users/current", "alice", no.clone(), 200, mapped),
        ("GET", "/network/remote_users/current", "bob", no.clone(), 200, r#""remote_users":[]"#),
        ("GET", "/network/remote_users/current", "robot", no.clone(), 403, ""),
        ("GET", "/network/remote_users/current", "", no.clone(), 401, ""),
        ("GET", one, "admin", no.clone(), 200, mapped),
        ("GET", one, "alice", no.clone(), 200, "rob"),
        ("GET", one, "bob", no.clone(), 403, ""),
        ("GET", one, "", no.clone(), 401, ""),
        ("GET", "/network/nodes/node-b/remote_users/x", "admin", no.clone(), 404, ""),
        ("GET", "/network/nodes/node-b/remote_users/x", "alice", no.clone(), 403, ""),
        ("PATCH", one, "alice", json!({"user_name": "bob"}), 403, ""),
        ("PATCH", one, "admin", json!({}), 400, ""),
        ("PATCH", one, "admin", json!({"user_name": "magpie_network_node-b"}), 403, ""),
        ("PATCH", one, "admin", json!({"node_name": "x"}), 404, ""),
        ("PATCH", one, "admin", json!({"remote_user_name": "nobody-1"}), 409, ""),
        ("PATCH", "/network/nodes/node-b/remote_users/x", "admin", json!({"user_name": "bob"}), 404, ""),
        ("PATCH", one, "admin", json!({"assign_anonymous": true}), 200, ""),
        ("GET", one, "alice", no.clone(), 403, ""),
        ("GET", one, "admin", no.clone(), 200, "magpie_network_node-b"),
        ("PATCH", one, "admin", json!({"user_name": "bob", "remote_user_name": "robert"}), 200, ""),
        ("GET", one, "admin", no.clone(), 404, ""),
        ("DELETE", "/network/nodes/node-b/remote_users/robert", "alice", no.clone(), 403, ""),
        ("DELETE", "/network/nodes/node-b/remote_users/robert", "bob", no.clone(), 200, ""),
        ("DELETE", "/network/nodes/node-b/remote_users/robert", "admin", no.clone(), 404, ""),
        ("DELETE", "/network/nodes/node-b", "admin", no.clone(), 200, ""),
        ("GET", users, "admin", no, 200, r#""remote_users":[]"#),
    ])
    .await;
}

#[tokio::test]
async fn a_user_gets_one_token_at_another_node() {
    let (a, b) = two().await;
    let no = Value::Null;
    let there = "/network/nodes/node-b/token";
    check(
        &a,
        &[
            ("GET", there, "", no.clone(), 401, ""),
            ("GET", there, "robot", no.clone(), 403, ""),
            ("GET", "/network/nodes/node-x/token", "alice", no.clone(), 404, ""),
            (
                "DELETE",
                "/network/nodes/node-x/token",
                "alice",
                no.clone(),
                404,
                "",
            ),
            // She has none there.
            ("DELETE", there, "alice", no.clone(), 500, "other node"),
        ],
    )
    .await;
    let first = a.send("GET", there, "alice", &no).await;
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.token();
    assert_eq!(uuid::Uuid::parse_str(&first).unwrap().get_version_num(), 4);
    let login = "/providers/magpie_network/signin";
    let remote = "/network/nodes/node-a/remote_users/alice";
    check(
        &b,
        &[
            ("GET", remote, "admin", no.clone(), 200, "magpie_network_node-a"),
            ("GET", login, &first, no.clone(), 200, ""),
            // What the house gave is no login for what is the user's own.
            (
                "GET",
                "/network/nodes/node-a/token",
                &first,
                no.clone(),
                403,
                "credential of their own",
            ),
            ("GET", "/network/nodes", "admin", no.clone(), 200, ""),
        ],
    )
    .await;
    let second = a.send("GET", there, "alice", &no).await.token();
    assert_ne!(first, second);
    check(
        &b,
        &[
            ("GET", login, &first, no.clone(), 401, ""),
            ("GET", login, &second, no.clone(), 200, ""),
            ("GET", login, "not-a-uuid", no.clone(), 401, ""),
            ("GET", login, "two parts", no.clone(), 401, ""),
            ("GET", login, "", no.clone(), 401, ""),
            ("GET", "/providers/other/signin", &second, no.clone(), 404, ""),
        ],
    )
    .await;
    // It counts here as it would anywhere: in the form it was given in, and until it is revoked.
    let (digits, braces) = (second.replace('-', ""), format!("{{{second}}}"));
    for other in [&digits, &braces, &format!("urn:uuid:{second}")] {
        check(&b, &[("GET", login, other, no.clone(), 401, "")]).await;
    }
    let revocation = NewRevocation {
        issuer: "house".to_owned(),
        what: Revoked::Token(b.authority.good_network_token(&second).await.unwrap().id),
        before: Before::Ever,
        reason: None,
        expires_at: None,
    };
    let revoked = b.authority.revoke("admin", revocation).await.unwrap();
    check(&b, &[("GET", login, &second, no.clone(), 401, "")]).await;
    b.authority.lift("admin", &revoked.id).await.unwrap();
    check(&b, &[("GET", login, &second, no.clone(), 200, "")]).await;
    let basic = [("authorization".to_owned(), format!("bearer {second}"))];
    assert_eq!(b.exchange("GET", login, &basic, String::new()).await.status, 400);
    // The mapping is changed, the token stays.
    check(
        &b,
        &[
            ("PATCH", remote, "admin", json!({"user_name": "bob"}), 200, ""),
            ("GET", "/network/nodes/node-a/token", &second, no.clone(), 403, ""),
            (
                "PATCH",
                remote,
                "admin",
                json!({"assign_anonymous": true}),
                200,
                "",
            ),
        ],
    )
    .await;
    check(&a, &[("DELETE", there, "alice", no.clone(), 200, "")]).await;
    check(
        &b,
        &[
            ("GET", login, &second, no.clone(), 401, ""),
            // Nobody with nothing is forgotten.
            ("GET", remote, "admin", no.clone(), 404, ""),
        ],
    )
    .await;
    let third = a.send("GET", there, "alice", &no).await.token();
    check(
        &b,
        &[
            ("DELETE", "/network/tokens", "", no.clone(), 401, ""),
            ("DELETE", "/network/tokens", "alice", no.clone(), 403, ""),
            (
                "DELETE",
                "/network/tokens?expired_only=true",
                "admin",
                no.clone(),
                200,
                r#""deleted":0"#,
            ),
            ("GET", login, &third, no.clone(), 200, ""),
            (
                "DELETE",
                "/network/tokens",
                "admin",
                no.clone(),
                200,
                r#""deleted":1"#,
            ),
            ("GET", login, &third, no.clone(), 401, ""),
            ("GET", remote, "admin", no.clone(), 404, ""),
        ],
    )
    .await;
    // No token, whole or in part, is in what was recorded.
    let records = format!("{:?} {:?}", a.memory, b.memory);
    for token in [&first, &second, &third] {
        assert!(!records.contains(&token[..18]), "{records}");
    }
}

#[tokio::test]
async fn two_accounts_are_linked_by_whoever_has_both() {
    let (a, b) = two().await;
    let no = Value::Null;
    check(
        &a,
        &[
            ("POST", "/network/nodes/node-b/link", "", no.clone(), 401, ""),
            ("POST", "/network/nodes/node-x/link", "alice", no.clone(), 404, ""),
            (
                "GET",
                "/network/link",
                "alice",
                no.clone(),
                400,
                "`token` is missing",
            ),
            ("GET", "/network/link?token=x", "", no.clone(), 401, ""),
            (
                "GET",
                "/network/link?token=x",
                "alice",
                no.clone(),
                400,
                "no signed JWT",
            ),
        ],
    )
    .await;
    let begun = a.send("POST", "/network/nodes/node-b/link", "alice", &no).await;
    assert_eq!(begun.status, 302, "{begun:?}");
    let location = begun.headers["location"].to_str().unwrap();
    let authorize = location
        .strip_prefix(&format!("http://{}", b.address))
        .unwrap()
        .to_owned();
    assert!(
        authorize.contains("&response_type=id_token&redirect_uri="),
        "{authorize}"
    );
    let changed = |from: &str, to: &str| authorize.replace(from, to);
    let back = format!(
        "http%3A%2F%2F{}%2Fnetwork%2Flink",
        a.address.to_string().replace(':', "%3A")
    );
    check(
        &b,
        &[
            ("GET", &authorize, "", no.clone(), 401, ""),
            (
                "GET",
                &changed("id_token", "code"),
                "bob",
                no.clone(),
                400,
                "response_type",
            ),
            (
                "GET",
                &changed(&back, "http%3A%2F%2Fevil.test"),
                "bob",
                no.clone(),
                400,
                "redirect_uri",
            ),
            (
                "GET",
                &changed(&back, &format!("{back}%2F")),
                "bob",
                no.clone(),
                400,
                "redirect_uri",
            ),
            (
                "GET",
                "/ui/network/authorize?response_type=id_token",
                "bob",
                no.clone(),
                400,
                "token",
            ),
        ],
    )
    .await;
    let page = b.send("GET", &authorize, "bob", &no).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert_eq!(page.headers["cache-control"], "no-store");
    let begin = page.text.find("href=\"").unwrap() + 6;
    let link = &page.text[begin..];
    let link = &link[..link.find('"').unwrap()];
    let finish = link.strip_prefix(&format!("http://{}", a.address)).unwrap();
    check(&b, &[("GET", &authorize, "bob", no.clone(), 400, "used before")]).await;
    check(
        &a,
        &[
            ("GET", finish, "bob", no.clone(), 403, "Somebody else"),
            ("GET", finish, "alice", no.clone(), 200, ""),
            ("GET", finish, "alice", no.clone(), 400, "used before"),
            (
                "GET",
                "/network/remote_users/current",
                "alice",
                no.clone(),
                200,
                r#""remote_user_name":"bob""#,
            ),
        ],
    )
    .await;
    // What node-b says about bob gives him what alice has here.
    let token = b
        .send("GET", "/network/nodes/node-a/token", "bob", &no)
        .await
        .token();
    let id = a.authority.good_network_token(&token).await.unwrap();
    assert_eq!(id.local_user.unwrap().subject, "alice");
}

#[tokio::test]
async fn without_network_mode_there_is_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let _server = AbortOnDropHandle::new(tokio::spawn(http_server::accept(
        listener,
        None,
        (router_off(), http_server::Places::for_clients()),
        JoinSet::new(),
        CancellationToken::new(),
    )));
    for (method, target, status) in [
        ("GET", "/network/jwks", 501),
        ("POST", "/network/token", 501),
        ("DELETE", "/network/token", 501),
        ("DELETE", "/network/tokens", 501),
        ("GET", "/network/decode_jwt?token=x", 501),
        ("GET", "/network/nodes", 501),
        ("PATCH", "/network/nodes/x", 501),
        ("GET", "/network/nodes/x/token", 501),
        ("POST", "/network/nodes/x/link", 501),
        ("GET", "/network/link", 501),
        ("GET", "/ui/network/authorize", 501),
        ("GET", "/network/remote_users", 501),
        ("GET", "/network/remote_users/current", 501),
        ("DELETE", "/network/nodes/x/remote_users/y", 501),
        ("GET", "/providers/magpie_network/signin", 404),
    ] {
        let answer = client::send(address, method, target, &[], Bytes::new())
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{method} {target}");
    }
}
