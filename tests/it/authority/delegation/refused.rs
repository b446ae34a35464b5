//! Who gets no token is told why in the words of OAuth.

use super::*;

#[tokio::test]
async fn who_gets_no_token_is_told_why_in_the_words_of_oauth() {
    let stage = Stage::start().await;
    let issuer = &stage.house.issuer;
    let (alice, robot, client) = (
        people::alice(issuer).token,
        people::robot(issuer).token,
        people::client(issuer).token,
    );
    let expired = people::expired(issuer).token;
    let delegated = stage
        .exchange(Some(&robot), &alice, "workspace=ws-alice&action=read")
        .await
        .token();
    let may_act = |may_act: Value| {
        let mut claims = people::alice_claims();
        claims["may_act"] = may_act;
        issuer.token(claims)
    };
    let (named, other) = (
        may_act(json!({"client_id": "ws-alice"})),
        may_act(json!({"sub": "somebody-else"})),
    );
    let foreign = {
        let mut claims = issuer.complete(people::alice_claims());
        claims["iss"] = json!("https://gate.example.test");
        issuer.token(claims)
    };
    let ws = "workspace=ws-alice";
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    let actor = |token: &str| format!("{ws}&actor_token={token}&actor_token_type={jwt}");
    for (name, client, subject, more, expected) in [
        ("nobody", None, &alice, ws.to_owned(), (401, "invalid_client")),
        (
            "a refused client",
            Some(&expired),
            &alice,
            ws.to_owned(),
            (401, "invalid_client"),
        ),
        (
            "garbage",
            Some(&"garbage".to_owned()),
            &alice,
            ws.to_owned(),
            (401, "invalid_client"),
        ),
        (
            "a user",
            Some(&alice),
            &alice,
            ws.to_owned(),
            (400, "unauthorized_client"),
        ),
        (
            "a delegated token as a client's",
            Some(&delegated),
            &alice,
            ws.to_owned(),
            (400, "unauthorized_client"),
        ),
        (
            "a client without a policy",
            Some(&client),
            &alice,
            ws.to_owned(),
            (400, "unauthorized_client"),
        ),
        (
            "what policies do not permit",
            Some(&robot),
            &alice,
            String::new(),
            (400, "unauthorized_client"),
        ),
        (
            "the robot about itself",
            Some(&robot),
            &robot,
            ws.to_owned(),
            (400, "invalid_request"),
        ),
        (
            "about a client",
            Some(&robot),
            &client,
            ws.to_owned(),
            (400, "unauthorized_client"),
        ),
        (
            "a token that has ended",
            Some(&robot),
            &expired,
            ws.to_owned(),
            (400, "invalid_request"),
        ),
        (
            "no token",
            Some(&robot),
            &"garbage".to_owned(),
            ws.to_owned(),
            (400, "invalid_request"),
        ),
        (
            "one that claims to be the house's",
            Some(&robot),
            &foreign,
            ws.to_owned(),
            (400, "invalid_request"),
        ),
        (
            "may_act names the client",
            Some(&robot),
            &named,
            ws.to_owned(),
            (200, ""),
        ),
        (
            "may_act names somebody else",
            Some(&robot),
            &other,
            ws.to_owned(),
            (400, "invalid_request"),
        ),
        (
            "another workspace",
            Some(&robot),
            &alice,
            "workspace=ws-bob".to_owned(),
            (400, "invalid_target"),
        ),
        (
            "another audience",
            Some(&robot),
            &alice,
            format!("{ws}&audience=evil"),
            (400, "invalid_target"),
        ),
        (
            "a scope",
            Some(&robot),
            &alice,
            format!("{ws}&scope=admin"),
            (400, "invalid_scope"),
        ),
        (
            "too long",
            Some(&robot),
            &alice,
            format!("{ws}&lifetime=601"),
            (400, "invalid_request"),
        ),
        (
            "the client by actor_token",
            None,
            &alice,
            actor(&robot),
            (200, ""),
        ),
        (
            "both, the same",
            Some(&robot),
            &alice,
            actor(&people::robot(issuer).token),
            (200, ""),
        ),
        (
            "both, different",
            Some(&robot),
            &alice,
            actor(&client),
            (400, "invalid_request"),
        ),
        (
            "a bad actor_token",
            Some(&robot),
            &alice,
            actor(&expired),
            (400, "invalid_request"),
        ),
        (
            "client_id of somebody else",
            Some(&robot),
            &alice,
            format!("{ws}&client_id=x"),
            (401, "invalid_client"),
        ),
        (
            "its own client_id",
            Some(&robot),
            &alice,
            format!("{ws}&client_id=ws-alice"),
            (200, ""),
        ),
        (
            "renewed by somebody else",
            Some(&client),
            &delegated,
            String::new(),
            (400, "invalid_request"),
        ),
        (
            "renewed for more",
            Some(&robot),
            &delegated,
            "workspace=ws-bob".to_owned(),
            (400, "invalid_target"),
        ),
        (
            "renewed for another action",
            Some(&robot),
            &delegated,
            "action=write".to_owned(),
            (400, "invalid_scope"),
        ),
        ("renewed", Some(&robot), &delegated, String::new(), (200, "")),
    ] {
        let answer = stage.exchange(client.map(String::as_str), subject, &more).await;
        assert_eq!(answer.error(), expected, "{name}: {answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        assert_eq!(
            answer.status == 401,
            !answer.header("www-authenticate").is_empty(),
            "{name}"
        );
    }
    assert_eq!(
        stage.post(Some(&robot), "grant_type=password").await.error(),
        (400, "unsupported_grant_type")
    );
    assert_eq!(
        stage.post(Some(&robot), &"x".repeat(300_000)).await.error(),
        (400, "invalid_request")
    );
}
