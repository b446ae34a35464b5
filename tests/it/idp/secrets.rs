//! What the server writes about its tokens and secrets: nothing that anybody could use.

use bytes::Bytes;
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::stage;

use super::introspection::asking;
use super::keys::status;
use super::provider::{Mood, Provider};
use super::trusting;
use crate::house::{Front, until};
use crate::served::Served;

const STATIC: &str = "static-token-of-the-environment";
const SECRET: &str = "a secret: 100% +/=&";
/// How `portcullis:` and the secret begin in HTTP Basic authentication.
const BASIC: &str = "cG9ydGN1bGxpczph";

/// Every token goes wherever a token may be, good and bad, in every mood of the provider; the log is as talkative as it gets.
#[tokio::test]
async fn no_token_and_no_secret_is_in_any_log() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    // Only for the text with its name in it, which is replaced.
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let places = "[bearer, cookie: session, header: x-access-token, query: access_token]";
    let config = trusting(&provider)(stage::config_text(&issuer)).replace(
        "    profile: oidc\n",
        &format!("    profile: oidc\n    credentials: {places}\n"),
    );
    let config = config
        + &asking(&provider, 1).replace(&format!("'{SECRET}'"), "{ $file: secret }")
        + &format!("    credentials: {places}\n")
        + "static_tokens: { tokens: [{ subject: ci, token: '${PORTCULLIS_TEST_STATIC}' }] }\n";
    assert_eq!(config.matches(places).count(), 2, "{config}");
    let served = Served::start(
        &config,
        &[("secret", SECRET)],
        &[("PORTCULLIS_TEST_STATIC", STATIC)],
    )
    .await;
    let Some(front) = Front::start(served.grpc(), |options| options).await else {
        return;
    };
    let good = provider.token_of("gleaner", "catalogue").await;
    let revoked = provider.token_of("gleaner", "catalogue").await;
    let foreign = provider.token_of("stranger", "catalogue").await;
    let jwt = provider.client_token("catalogue").await;
    let forged = format!("{}AAAA", &jwt[..jwt.len() - 4]);
    let expected = [
        (&good, 200),
        (&revoked, 200),
        (&foreign, 401),
        (&jwt, 200),
        (&forged, 401),
    ];
    for (token, expected) in expected {
        assert_eq!(status(&front, token).await, expected);
    }
    provider.revoke("gleaner", &revoked).await;
    until("the revoked token is refused", async || {
        status(&front, &revoked).await == 401
    })
    .await;
    let unknown = ["unknown-one", "unknown-two", "unknown-three", "unknown-four"].map(str::to_owned);
    let tokens = [&good, &revoked, &foreign, &jwt, &forged, &STATIC.to_owned()];
    for (mood, unknown) in [(Mood::Well, &unknown[..2]), (Mood::Gone, &unknown[2..])] {
        provider.set_mood(mood).await;
        for token in tokens.into_iter().chain(unknown) {
            for (headers, target) in [
                (
                    vec![("authorization", format!("Bearer {token}"))],
                    "/catalogue/x".to_owned(),
                ),
                (
                    vec![("authorization", format!("Basic {token}"))],
                    "/catalogue/x".to_owned(),
                ),
                (
                    vec![("authorization", format!("Bearer {token} "))],
                    "/public/x".to_owned(),
                ),
                (
                    vec![("cookie", format!("a=b; session={token}"))],
                    "/catalogue/x".to_owned(),
                ),
                (
                    vec![("cookie", format!("session={token}; session={token}"))],
                    "/catalogue/x".to_owned(),
                ),
                (vec![("x-access-token", token.clone())], "/catalogue/x".to_owned()),
                (vec![], format!("/catalogue/x?access_token={token}")),
                (
                    vec![],
                    format!("/catalogue/x?access_token={token}&access_token={token}"),
                ),
            ] {
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                front.send("GET", &target, &headers, Bytes::new()).await;
            }
        }
    }
    provider.set_mood(Mood::Well).await;
    until("the provider is asked again", async || {
        status(&front, &good).await == 200
    })
    .await;
    until("all is written", async || {
        served
            .decisions()
            .lines()
            .last()
            .is_some_and(|line| line.contains("\"permitted\""))
            && served.decisions().lines().count() > 128
    })
    .await;

    let (log, decisions) = (served.log(), served.decisions());
    // The texts are those of this server, and it did have something to say.
    assert!(
        log.contains("tokens cannot be introspected") && log.contains("keys changed"),
        "{log}"
    );
    assert!(decisions.contains("not active") && decisions.contains("opaque/gleaner"));
    let tokens = tokens.into_iter().chain(&unknown).map(String::as_str);
    for secret in tokens.chain([SECRET, "a+secret", BASIC]) {
        // Of a JWT the header is no secret, the end of it is.
        let tail = &secret[secret.len().saturating_sub(20)..];
        for (name, text) in [("log", &log), ("decision log", &decisions)] {
            let line = text.lines().find(|line| line.contains(tail));
            assert_eq!(line, None, "{secret} is in the {name}");
        }
    }
}
