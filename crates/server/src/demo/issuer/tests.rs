use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::json;

use super::super::people;
use super::*;

fn client() -> reqwest::Client {
    // One connection per request, so that a stopped issuer cannot answer on an old one.
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

async fn fetch(issuer: &LocalIssuer) -> JwkSet {
    let uri = client().get(format!("{}/.well-known/openid-configuration", issuer.issuer()));
    let discovery: Value = serde_json::from_slice(&uri.send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(discovery["issuer"], issuer.issuer());
    let jwks = client()
        .get(discovery["jwks_uri"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    serde_json::from_slice(&jwks.bytes().await.unwrap()).unwrap()
}

fn verify(jwks: &JwkSet, issuer: &LocalIssuer, token: &str) -> Result<Value, String> {
    let header = decode_header(token).map_err(|error| error.to_string())?;
    let jwk = jwks
        .find(header.kid.as_deref().unwrap_or(""))
        .ok_or("no such key")?;
    let mut validation = Validation::new(header.alg);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[issuer.issuer()]);
    validation.set_audience(&[AUDIENCE]);
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    decode::<Value>(token, &key, &validation)
        .map(|data| data.claims)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn tokens_of_every_kind_verify_against_the_served_keys() {
    let issuer = LocalIssuer::start().await.unwrap();
    let jwks = fetch(&issuer).await;
    let algorithms = [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];
    for (kind, algorithm) in KeyKind::ALL.into_iter().zip(algorithms) {
        let token = issuer.token_by(kind, json!({ "sub": "s" }));
        assert_eq!(decode_header(&token).unwrap().alg, algorithm);
        let claims = verify(&jwks, &issuer, &token).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(claims["sub"], "s");
        assert!(claims["exp"].as_u64() > claims["iat"].as_u64());
    }
    assert_eq!((issuer.discoveries(), issuer.fetches()), (1, 1));
}

#[tokio::test]
async fn good_people_pass_and_bad_tokens_do_not() {
    let issuer = LocalIssuer::start().await.unwrap();
    let jwks = fetch(&issuer).await;
    for good in [people::alice, people::admin, people::robot, people::client] {
        let minted = good(&issuer);
        assert_eq!(verify(&jwks, &issuer, &minted.token).as_ref(), Ok(&minted.claims));
    }
    let forged = people::forged(&issuer).unwrap();
    let bad = [
        ("ExpiredSignature", people::expired(&issuer)),
        ("InvalidSignature", forged),
        ("InvalidIssuer", people::wrong_issuer(&issuer)),
        ("InvalidAudience", people::wrong_audience(&issuer)),
    ];
    for (error, minted) in bad {
        assert_eq!(verify(&jwks, &issuer, &minted.token), Err(error.to_string()));
    }
    assert!(verify(&jwks, &issuer, &people::unsigned(&issuer).token).is_err());
}

#[tokio::test]
async fn a_rotated_key_is_kept_or_removed() {
    let issuer = LocalIssuer::start().await.unwrap();
    let first = issuer.token(json!({}));
    assert_eq!(issuer.rotate(OldKey::Kept).unwrap().kid(), "rsa-2");
    let second = issuer.token(json!({}));
    let jwks = fetch(&issuer).await;
    assert!(verify(&jwks, &issuer, &first).is_ok() && verify(&jwks, &issuer, &second).is_ok());
    assert_eq!(issuer.rotate(OldKey::Removed).unwrap().kid(), "rsa-3");
    let jwks = fetch(&issuer).await;
    assert!(verify(&jwks, &issuer, &first).is_ok());
    assert_eq!(verify(&jwks, &issuer, &second), Err("no such key".to_owned()));
    assert!(verify(&jwks, &issuer, &issuer.token(json!({}))).is_ok());
}

#[tokio::test]
async fn fails_stops_and_comes_back_as_told() {
    let mut issuer = LocalIssuer::start().await.unwrap();
    let get = async |uri: String| client().get(uri).send().await;
    issuer.set_answer(Answer::Unavailable);
    assert_eq!(get(issuer.jwks_uri()).await.unwrap().status(), 503);
    issuer.set_answer(Answer::Body("nonsense".to_owned()));
    assert_eq!(
        get(issuer.jwks_uri()).await.unwrap().bytes().await.unwrap(),
        "nonsense"
    );
    assert_eq!(issuer.fetches(), 2);
    issuer.set_answer(Answer::Keys);

    let token = issuer.token(json!({}));
    issuer.stop().await;
    assert!(get(issuer.jwks_uri()).await.is_err());
    issuer.restart().await.unwrap();
    assert!(verify(&fetch(&issuer).await, &issuer, &token).is_ok());

    let port = issuer.address().port();
    drop(issuer);
    let again = LocalIssuer::start_on(port).await.unwrap();
    assert_eq!(
        verify(&fetch(&again).await, &again, &token),
        Err("InvalidSignature".to_owned())
    );
}
