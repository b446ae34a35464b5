//! Keys at several URLs, and in a file.

use std::net::TcpListener;
use std::path::PathBuf;

use super::*;

const ISSUER: &str = "https://keys-elsewhere.test";

/// A file of this process, gone when dropped.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("portcullis-{}-{name}.json", std::process::id())))
    }

    fn write(&self, content: impl AsRef<[u8]>) {
        // In one step, as a mounted secret changes: nobody reads half of it.
        let new = self.0.with_extension("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An identity whose settings say where the keys are, at this pace.
fn keys_at(place: serde_json::Value, pace: Pace) -> Identity<()> {
    let mut settings = json!({"name": "main", "issuer": ISSUER, "audiences": [OURS]});
    for (name, value) in place.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let settings: IssuerSettings = serde_json::from_value(settings).unwrap();
    let place = match (settings.jwks_uris(), &settings.jwks_file) {
        (Some(urls), None) => Place::Urls(urls),
        (None, Some(path)) => Place::File(path.clone()),
        other => panic!("{other:?}"),
    };
    let issuer = settings.issuer.clone();
    let keys = IssuerKeys::start(
        "main",
        Source { issuer, place },
        pace,
        Since::Start,
        RUNTIME.handle(),
    );
    let issuer = Verifier::Issuer(Box::new(Issuer::with_keys(&settings, keys)));
    Identity::with_verifiers(vec![issuer], DEFAULT_CACHE_BYTES, |_| ())
}

fn by(key: &'static TestKey) -> Token {
    token(key).claim("iss", ISSUER)
}

/// The answer to a token by the first key, as a word.
async fn judged(identity: &Identity<()>) -> &'static str {
    match ask_and_wait(identity, &by(&KEYS.a_rsa)).await {
        Ok(()) => "verified",
        Err(TokenRefusal::UnknownKey { .. }) => "unknown key",
        Err(TokenRefusal::KeysUnavailable(_)) => "no keys",
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_first_url_with_keys_counts() {
    run(async {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let down = format!("http://{nobody}/jwks");
        let mut leaked = KEYS.a_rsa.jwk();
        leaked["d"] = "AAAA".into();
        let serving = |page: Vec<u8>| {
            let origin = Origin::new(&[]);
            origin.page(JWKS, page);
            origin
        };
        let good = || ok(document(&[KEYS.a_rsa.jwk()]));
        let other = || ok(document(&[KEYS.a_ec.jwk()]));
        let broken = || status(500, "");
        let rows = [
            ("both good", Some(good()), good(), "verified", (1, 0)),
            ("the first is down", None, good(), "verified", (0, 1)),
            ("the first fails", Some(broken()), good(), "verified", (1, 1)),
            (
                "the first has no JSON",
                Some(ok("<html>")),
                good(),
                "verified",
                (1, 1),
            ),
            (
                "the first has no keys",
                Some(ok("{\"keys\":[]}")),
                good(),
                "verified",
                (1, 1),
            ),
            (
                "the first is sent elsewhere",
                Some(status(302, "location: /other\r\n")),
                good(),
                "verified",
                (1, 1),
            ),
            (
                "the first has other keys: the two are not joined",
                Some(other()),
                good(),
                "unknown key",
                (1, 0),
            ),
            ("both fail", Some(broken()), broken(), "no keys", (1, 1)),
            (
                "the first gives its private key away",
                Some(ok(document(&[leaked]))),
                good(),
                "no keys",
                (1, 0),
            ),
        ];
        let pace = Pace {
            cool_down: HOUR,
            ..PACE
        };
        for (id, first, second, expected, hits) in rows {
            let (first, second) = (first.map(serving), serving(second));
            let url = |origin: &Origin| format!("{}{JWKS}", origin.url());
            let urls = [first.as_ref().map_or(down.clone(), url), url(&second)];
            let identity = keys_at(json!({"jwks_uri": urls}), pace);
            identity.first_attempts().await;
            assert_eq!(judged(&identity).await, expected, "{id}");
            let asked = first.as_ref().map_or(0, |origin| origin.hits(JWKS));
            assert_eq!((asked, second.hits(JWKS)), hits, "{id}");
            let discovered = first.iter().chain([&second]).map(|origin| origin.hits(DISCOVERY));
            assert_eq!(discovered.sum::<usize>(), 0, "{id}");
        }
    });
}

#[test]
fn a_private_key_at_one_url_ends_the_trust_in_all() {
    run(async {
        let (first, second) = (Origin::new(&[KEYS.a_rsa.jwk()]), Origin::new(&[KEYS.a_rsa.jwk()]));
        let urls = [&first, &second].map(|origin| format!("{}{JWKS}", origin.url()));
        let identity = keys_at(json!({"jwks_uri": urls}), COOLING);
        identity.first_attempts().await;
        assert_eq!(judged(&identity).await, "verified");
        let mut leaked = KEYS.a_rsa.jwk();
        leaked["d"] = "AAAA".into();
        first.page(JWKS, ok(document(&[leaked])));
        keys_of(&identity).idle().await;
        let _ = ask_and_wait(&identity, &by(&KEYS.a_ec)).await;
        assert_eq!(judged(&identity).await, "unknown key");
        assert_eq!(second.hits(JWKS), 0);
    });
}

#[test]
fn a_file_is_read_again_at_every_refresh() {
    run(async {
        let file = KeyFile::new("refresh");
        let place = || json!({"jwks_file": file.0});
        let identity = keys_at(place(), COOLING);
        identity.first_attempts().await;
        let failure = || identity.status()[0].last_failure.clone().unwrap_or_default();
        assert!(failure().contains("No such file"), "{}", failure());
        assert_eq!(judged(&identity).await, "no keys");

        // It is there a moment later.
        file.write(document(&[KEYS.a_rsa.jwk()]));
        keys_of(&identity).idle().await;
        assert_eq!(judged(&identity).await, "verified");

        // What cannot be used leaves the last good keys in force.
        for (id, content, why) in [
            (
                "too large",
                vec![b' '; crate::identity::jwks::MAX_BYTES + 1],
                "more than 1048576 bytes",
            ),
            ("no JSON", b"<html>".to_vec(), "not strict JSON"),
            ("no keys", b"{\"keys\":[]}".to_vec(), "no key that can be used"),
        ] {
            keys_of(&identity).idle().await;
            file.write(content);
            let _ = ask_and_wait(&identity, &by(&KEYS.a_ec)).await;
            assert!(failure().contains(why), "{id}: {}", failure());
            assert_eq!(judged(&identity).await, "verified", "{id}");
            file.write(document(&[KEYS.a_rsa.jwk()]));
        }

        // Other keys.
        keys_of(&identity).idle().await;
        file.write(document(&[KEYS.a_ec.jwk()]));
        assert_eq!(ask_and_wait(&identity, &by(&KEYS.a_ec)).await, Ok(()));
        assert_eq!(judged(&identity).await, "unknown key");
    });
}

#[test]
fn a_changed_file_is_noticed_without_anybody_asking() {
    run(async {
        let file = KeyFile::new("changed");
        file.write(document(&[KEYS.a_rsa.jwk()]));
        let pace = Pace {
            refresh: Duration::from_millis(5),
            ..PACE
        };
        let identity = keys_at(json!({"jwks_file": file.0}), pace);
        identity.first_attempts().await;
        assert_eq!(judged(&identity).await, "verified");
        file.write(document(&[KEYS.a_ec.jwk()]));
        let mut attempts = keys_of(&identity).shared.attempts.subscribe();
        let now = attempts.borrow().finished;
        // The one under way may have read the old file.
        attempts.wait_for(|a| a.finished >= now + 2).await.unwrap();
        assert_eq!(judged(&identity).await, "unknown key");
    });
}
