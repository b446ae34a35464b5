use futures_util::FutureExt as _;
use serde_json::json;

use super::*;

/// A modulus of so many bytes that could be one.
fn modulus(bytes: usize) -> String {
    let mut n = vec![0xAB; bytes];
    if let Some(last) = n.last_mut() {
        *last = 1;
    }
    URL_SAFE_NO_PAD.encode(n)
}

#[test]
fn which_keys_of_a_document_are_used() {
    let good = json!({"kty": "RSA", "kid": "k", "n": modulus(256), "e": "AQAB"});
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let without = |name: &str| {
        let mut key = good.clone();
        key.as_object_mut().unwrap().remove(name);
        key
    };
    for (id, keys, expected) in [
        ("plain", json!([good]), Ok(1)),
        (
            "for signatures by RS256",
            json!([with("use", json!("sig")), with("alg", json!("RS256"))]),
            Ok(1),
        ),
        (
            "another use",
            json!([with("use", json!("enc"))]),
            Err("no RSA key"),
        ),
        (
            "another algorithm",
            json!([with("alg", json!("PS256"))]),
            Err("no RSA key"),
        ),
        (
            "to sign only",
            json!([with("key_ops", json!(["sign"]))]),
            Err("no RSA key"),
        ),
        ("to verify", json!([with("key_ops", json!(["verify"]))]), Ok(1)),
        ("without a name", json!([without("kid")]), Err("no RSA key")),
        (
            "with an empty name",
            json!([with("kid", json!(""))]),
            Err("no RSA key"),
        ),
        (
            "too small",
            json!([with("n", json!(modulus(255)))]),
            Err("no RSA key"),
        ),
        (
            "too large",
            json!([with("n", json!(modulus(1025)))]),
            Err("no RSA key"),
        ),
        ("exponent 3", json!([with("e", json!("Aw"))]), Err("no RSA key")),
        ("padded", json!([with("e", json!("AQAB="))]), Err("no RSA key")),
        (
            "symmetric",
            json!([{"kty": "oct", "kid": "k", "k": "AAAA"}]),
            Err("no RSA key"),
        ),
        (
            "unknown beside good",
            json!([{"kty": "AKP", "kid": "x"}, 7, good]),
            Ok(1),
        ),
        ("private", json!([with("d", json!("AQAB"))]), Err("private key")),
        ("twice the same", json!([good, good]), Ok(1)),
        (
            "two of one name",
            json!([good, with("n", json!(modulus(257)))]),
            Err("no RSA key"),
        ),
        ("too many", json!(vec![good.clone(); 101]), Err("more than 100")),
        ("none", json!([]), Err("no RSA key")),
        ("no list", json!({}), Err("no list")),
    ] {
        let found = parse(json!({ "keys": keys }).to_string().as_bytes()).map(|keys| keys.len());
        match (&found, expected) {
            (Ok(count), Ok(expected)) => assert_eq!(*count, expected, "{id}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{id}: {why}"),
            _ => panic!("{id}: {found:?} instead of {expected:?}"),
        }
    }
    assert!(parse(b"<html>").is_err());
}

#[tokio::test]
async fn who_has_a_key_does_not_wait_for_a_fetch() {
    let (keys, outbound, url) = (
        NodeKeys::default(),
        Outbound::new().unwrap(),
        "http://127.0.0.1:1/",
    );
    let node = Arc::new(OneNode::default());
    let (n, e) = (vec![1; 256], vec![1, 0, 1]);
    node.fetched().keys.insert("k".to_owned(), RsaKey { n, e });
    node.fetched().at = Some(Instant::now());
    keys.0.lock().unwrap().insert(url.to_owned(), Arc::clone(&node));
    let _under_way = node.fetching.lock().await;
    for (kid, waits) in [("k", false), ("x", true)] {
        let got = keys.get(&outbound, url, kid).now_or_never();
        assert_eq!(got.is_none(), waits, "{kid}: {got:?}");
    }
}
