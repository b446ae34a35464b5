use super::*;

#[test]
fn where_nodes_may_be() {
    for (url, expected) in [
        ("https://b.example.org/network/jwks", Ok(())),
        ("https://b.example.org:8443/?a=b", Ok(())),
        ("http://127.0.0.1:8080/", Ok(())),
        ("http://127.8.8.8/", Ok(())),
        ("http://[::1]/", Ok(())),
        ("http://localhost/", Ok(())),
        ("http://b.example.org/", Err("not encrypted")),
        ("http://localhost.example.org/", Err("not encrypted")),
        ("http://127.0.0.1.example.org/", Err("not encrypted")),
        ("http://169.254.169.254/", Err("not encrypted")),
        ("https://user@b.example.org/", Err("user name")),
        ("https://:p@b.example.org/", Err("user name")),
        ("https://b.example.org/#x", Err("fragment")),
        ("file:///etc/passwd", Err("neither")),
        ("javascript:alert(1)", Err("neither")),
        ("https://", Err("cannot be read")),
        ("/relative", Err("cannot be read")),
        ("https://b.example.org/\n", Err("characters")),
        ("https://b.example.org/ü", Err("characters")),
    ] {
        let found = acceptable_url(url).map(|_| ());
        match (found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) => assert!(why.contains(part), "{url}: {why}"),
            (found, _) => panic!("{url}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn what_is_wrong_with_settings_is_said() {
    let settings = |more: Value| {
        let mut settings = json!({ "instance": "node-a" });
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value::<NetworkSettings>(settings).unwrap()
    };
    for (more, expected) in [
        (json!({}), &[][..]),
        (json!({"instance": "node a"}), &["/instance"]),
        (json!({"instance": ""}), &["/instance"]),
        (
            json!({"token_seconds": 0, "node_token_seconds": 3600}),
            &["/token_seconds", "/node_token_seconds"],
        ),
        (json!({"private_keys": ["x"]}), &["/private_keys/0"]),
    ] {
        let flaws = settings(more.clone()).validate();
        let pointers: Vec<&str> = flaws.iter().map(|flaw| flaw.pointer.as_str()).collect();
        assert_eq!(pointers, expected, "{more}");
    }
}

#[test]
fn who_is_who_between_nodes() {
    let settings = |local_issuer: Option<&str>| {
        serde_json::from_value::<NetworkSettings>(json!({ "instance": "a", "local_issuer": local_issuer }))
            .unwrap()
    };
    for (issuer, name, expected) in [
        (Some("main"), "alice", Some(("main", "alice"))),
        (Some("main"), "other/alice", Some(("main", "other/alice"))),
        (None, "main/alice", Some(("main", "alice"))),
        (None, "main/a/b", Some(("main", "a/b"))),
        (None, "alice", None),
    ] {
        let user = settings(issuer).local_user(name);
        let found = user
            .as_ref()
            .ok()
            .map(|user| (user.issuer.as_str(), user.subject.as_str()));
        assert_eq!(found, expected, "{name}");
        if let Ok(user) = &user {
            assert_eq!(settings(issuer).name_of(user), name);
        }
    }
}
