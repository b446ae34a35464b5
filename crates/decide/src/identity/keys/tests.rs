//! Keys over the network: against a small HTTP server in this process, without a proxy of time.

use std::sync::LazyLock;

use model::{Headers, Principal};
use serde_json::json;
use tokio::runtime::Runtime;

use self::origin::{DISCOVERY, JWKS, Origin, ok, status};
use super::*;
use crate::identity::claims::Registered;
use crate::identity::fetch::Place;
use crate::identity::issuer::Issuer;
use crate::identity::refusal::TokenRefusal;
use crate::identity::testing::*;
use crate::identity::verifier::Verifier;
use crate::identity::{DEFAULT_CACHE_BYTES, Identified, Identity, IdentitySettings, IssuerSettings};

mod fetching;
mod flood;
pub(in crate::identity) mod origin;
mod rotation;
mod sources;
mod successor;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

pub(in crate::identity) fn runtime() -> &'static Runtime {
    &RUNTIME
}

/// Keys at hand, and nothing that would fetch others.
pub(in crate::identity) fn holding(keys: KeySet) -> IssuerKeys {
    let (shared, wanted) = Shared::new(Phase::CoolingDown);
    shared.take("held", Instant::now(), Ok((keys, Vec::new())));
    IssuerKeys {
        shared,
        wanted,
        pace: PACE,
        task: None,
        origin: None,
        since: Since::Start,
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Nothing happens but what is asked for.
const PACE: Pace = Pace {
    refresh: HOUR,
    cool_down: Duration::ZERO,
    max_stale: HOUR,
    patience: Duration::from_secs(5),
};

/// With a cool-down that ends soon.
const COOLING: Pace = Pace {
    cool_down: Duration::from_millis(20),
    ..PACE
};

impl IssuerKeys {
    pub(in crate::identity) fn replace(&self, keys: KeySet) {
        self.shared.take("held", Instant::now(), Ok((keys, Vec::new())));
    }

    pub(in crate::identity) fn forget(&self) {
        self.shared.current.store(None);
    }

    /// Waits until the task waits.
    async fn idle(&self) {
        let mut attempts = self.shared.attempts.subscribe();
        attempts.wait_for(|a| a.phase == Phase::Idle).await.unwrap();
    }
}

/// An identity with the one issuer `origin`.
fn identity(origin: &Origin, pace: Pace) -> Identity<()> {
    identity_of(&settings("main", &origin.url()), pace)
}

fn identity_of(settings: &IssuerSettings, pace: Pace) -> Identity<()> {
    let source = Source {
        issuer: settings.issuer.clone(),
        place: Place::Discovery,
    };
    let keys = IssuerKeys::start("main", source, pace, Since::Start, RUNTIME.handle());
    let issuer = Verifier::Issuer(Box::new(Issuer::with_keys(settings, keys)));
    Identity::with_verifiers(vec![issuer], DEFAULT_CACHE_BYTES, |_| ())
}

fn keys_of(identity: &Identity<()>) -> &IssuerKeys {
    identity.keys().next().unwrap().1
}

fn mint(origin: &Origin, key: &'static TestKey) -> Token {
    token(key).claim("iss", origin.url())
}

/// What was proven with that key, when the keys were of that generation.
fn proven(key: &TestKey, generation: u64) -> Proven {
    Proven {
        principal: Principal::anonymous().into(),
        registered: Registered::without_end("somebody"),
        signed_with: Some(SignedWith {
            kid: key.kid.to_owned(),
            named: true,
            generation,
        }),
    }
}

fn ask(identity: &Identity<()>, token: &Token) -> Identified<()> {
    let value = format!("Bearer {}", token.mint());
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    identity.identify(&headers, None, now())
}

/// Asks, waits if need be, and asks once more.
async fn ask_and_wait(identity: &Identity<()>, token: &Token) -> Result<(), TokenRefusal> {
    let value = format!("Bearer {}", token.mint());
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    let answer = match identity.identify(&headers, None, now()) {
        Identified::NotYet(wanted) => {
            wanted.wait().await;
            identity.identify_at_hand(&headers, None, now())
        }
        answer => answer,
    };
    match answer {
        Identified::Verified(_, _) => Ok(()),
        Identified::Refused(refused) => Err(refused.reason),
        Identified::Anonymous | Identified::NotYet(_) => panic!("{answer:?}"),
    }
}

fn run(test: impl Future<Output = ()>) {
    run_within(Duration::from_secs(20), test);
}

fn run_within(limit: Duration, test: impl Future<Output = ()>) {
    RUNTIME.block_on(async { tokio::time::timeout(limit, test).await.expect("the test hangs") });
}

#[test]
fn keys_are_fetched_at_start_and_a_new_key_after_one_refresh() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let identity = identity(&origin, PACE);
        identity.first_attempts().await;
        assert_eq!(ask_and_wait(&identity, &mint(&origin, &KEYS.a_rsa)).await, Ok(()));
        assert_eq!((origin.hits(DISCOVERY), origin.hits(JWKS)), (1, 1));
        let status = identity.status();
        assert!(
            status[0].ready && status[0].keys == 1 && status[0].last_failure.is_none(),
            "{status:?}"
        );
        keys_of(&identity).idle().await;

        // The refusal of an unpublished key is not remembered.
        let next = mint(&origin, &KEYS.a_ec);
        let refused = ask_and_wait(&identity, &next).await;
        assert!(
            matches!(refused, Err(TokenRefusal::UnknownKey { .. })),
            "sq-neg-1: {refused:?}"
        );
        assert_eq!(origin.hits(JWKS), 2);
        keys_of(&identity).idle().await;
        origin.page(JWKS, ok(document(&[KEYS.a_rsa.jwk(), KEYS.a_ec.jwk()])));
        let published = ask_and_wait(&identity, &next).await;
        assert_eq!(published, Ok(()), "sq-neg-2");
        assert_eq!(origin.hits(JWKS), 3, "jwks-next");

        // Known tokens cause no fetch, nor do hopeless ones.
        keys_of(&identity).idle().await;
        assert_eq!(ask_and_wait(&identity, &mint(&origin, &KEYS.a_rsa)).await, Ok(()));
        for hopeless in [
            mint(&origin, &KEYS.a_ed).claim("exp", NOW - 100),
            mint(&origin, &KEYS.a_ed).claim("aud", "other"),
            mint(&origin, &KEYS.mallory),
            mint(&origin, &KEYS.a_ed).claim("iss", "https://elsewhere.test"),
        ] {
            assert!(matches!(ask(&identity, &hopeless), Identified::Refused(_)));
        }
        assert_eq!(origin.hits(JWKS), 3);
    });
}

#[test]
fn settings_are_all_it_takes() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let mut settings = settings("main", &origin.url());
        let start = |s: &IssuerSettings| {
            let settings = IdentitySettings {
                issuers: vec![s.clone()],
                ..IdentitySettings::default()
            };
            Identity::new(&settings, DEFAULT_CACHE_BYTES, RUNTIME.handle(), |_| ())
        };
        let identity = start(&settings).unwrap();
        let found = ask_and_wait(&identity, &mint(&origin, &KEYS.a_rsa)).await;
        assert_eq!(found, Ok(()));
        settings.audiences.clear();
        assert_eq!(start(&settings).map(drop).unwrap_err().len(), 1);
    });
}

#[test]
fn a_stampede_costs_one_fetch() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let identity = identity(&origin, PACE);
        identity.first_attempts().await;
        keys_of(&identity).idle().await;
        origin.close_gate();
        let mut waiting = Vec::new();
        for n in 0..100 {
            match ask(
                &identity,
                &mint(&origin, &KEYS.a_ec).head("kid", format!("random-{n}")),
            ) {
                Identified::NotYet(wanted) => waiting.push(wanted.wait()),
                answer => panic!("{answer:?}"),
            }
        }
        // While all of them wait, honest callers do not.
        assert!(matches!(
            ask(&identity, &mint(&origin, &KEYS.a_rsa)),
            Identified::Verified(_, _)
        ));
        origin.open_gate();
        for wait in waiting {
            wait.await;
        }
        keys_of(&identity).idle().await;
        assert_eq!((origin.hits(DISCOVERY), origin.hits(JWKS)), (2, 2));
    });
}

#[test]
fn while_cooling_down_unknown_keys_are_refused_at_once() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        origin.close_gate();
        let identity = identity(
            &origin,
            Pace {
                cool_down: HOUR,
                ..PACE
            },
        );
        let forged = |n: usize| mint(&origin, &KEYS.a_ec).head("kid", format!("random-{n}"));
        // Before the first keys everybody waits for the same fetch.
        let Identified::NotYet(first) = ask(&identity, &forged(0)) else {
            panic!("no wait")
        };
        let Identified::NotYet(honest) = ask(&identity, &mint(&origin, &KEYS.a_rsa)) else {
            panic!("no wait")
        };
        origin.open_gate();
        first.wait().await;
        honest.wait().await;
        assert!(matches!(
            ask(&identity, &mint(&origin, &KEYS.a_rsa)),
            Identified::Verified(_, _)
        ));
        for n in 0..100 {
            let answer = ask(&identity, &forged(n));
            let unknown = matches!(&answer, Identified::Refused(r) if matches!(r.reason, TokenRefusal::UnknownKey { .. }));
            assert!(unknown, "{answer:?}");
        }
        assert_eq!(origin.hits(JWKS), 1);
    });
}

#[test]
fn an_issuer_that_publishes_its_private_key_is_believed_no_more() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let identity = identity(&origin, COOLING);
        identity.first_attempts().await;
        let token = mint(&origin, &KEYS.a_rsa);
        assert_eq!(ask_and_wait(&identity, &token).await, Ok(()));
        let mut leaked = KEYS.a_rsa.jwk();
        leaked["d"] = "AAAA".into();
        origin.page(JWKS, ok(document(&[leaked])));
        keys_of(&identity).idle().await;
        let _ = ask_and_wait(&identity, &mint(&origin, &KEYS.a_ec)).await;
        let refused = ask_and_wait(&identity, &token).await;
        assert!(
            matches!(refused, Err(TokenRefusal::UnknownKey { .. })),
            "{refused:?}"
        );
        assert!(!identity.status()[0].ready);
        // It heals by itself.
        origin.page(JWKS, ok(document(&[KEYS.a_rsa.jwk()])));
        keys_of(&identity).idle().await;
        assert_eq!(ask_and_wait(&identity, &token).await, Ok(()));
    });
}

#[test]
fn a_failing_issuer_keeps_its_last_good_keys() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let identity = identity(&origin, COOLING);
        identity.first_attempts().await;
        for (id, page) in [
            ("jwks-500", status(500, "")),
            ("jwks-html", ok("<html>")),
            ("jwks-empty-keys", ok("{\"keys\":[]}")),
        ] {
            keys_of(&identity).idle().await;
            origin.page(JWKS, page);
            let refused = ask_and_wait(&identity, &mint(&origin, &KEYS.a_ec)).await;
            assert!(
                matches!(refused, Err(TokenRefusal::UnknownKey { .. })),
                "{id}: {refused:?}"
            );
            assert!(identity.status()[0].last_failure.is_some(), "{id}");
            assert_eq!(
                ask_and_wait(&identity, &mint(&origin, &KEYS.a_rsa)).await,
                Ok(()),
                "{id}"
            );
            assert!(identity.status()[0].ready, "{id}");
            // It heals by itself.
            origin.page(JWKS, ok(document(&[KEYS.a_rsa.jwk()])));
        }
        keys_of(&identity).idle().await;
        assert!(identity.status()[0].last_failure.is_none());
    });
}

#[test]
fn an_issuer_that_is_down_at_start_heals() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        origin.page(DISCOVERY, status(503, ""));
        let identity = identity(&origin, COOLING);
        identity.first_attempts().await;
        let refused = ask_and_wait(&identity, &mint(&origin, &KEYS.a_rsa)).await;
        assert!(
            matches!(&refused, Err(TokenRefusal::KeysUnavailable(why)) if why.contains("503")),
            "{refused:?}"
        );
        assert!(!identity.status()[0].ready);
        let url = origin.url();
        origin.page(
            DISCOVERY,
            ok(json!({"issuer": url, "jwks_uri": format!("{url}{JWKS}")}).to_string()),
        );
        keys_of(&identity).idle().await;
        assert_eq!(ask_and_wait(&identity, &mint(&origin, &KEYS.a_rsa)).await, Ok(()));
    });
}

#[test]
fn keys_that_are_too_old_are_not_used() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let pace = Pace {
            max_stale: Duration::ZERO,
            cool_down: HOUR,
            ..PACE
        };
        let identity = identity(&origin, pace);
        identity.first_attempts().await;
        let status = identity.status();
        assert!(!status[0].ready && status[0].age.is_some(), "{status:?}");
        let refused = ask_and_wait(&identity, &mint(&origin, &KEYS.a_rsa)).await;
        assert!(
            matches!(refused, Err(TokenRefusal::KeysUnavailable(_))),
            "{refused:?}"
        );
        assert!(
            !keys_of(&identity).still_vouch_for(&proven(&KEYS.a_rsa, 1)),
            "verdicts from the cache end, too"
        );
    });
}

#[test]
fn a_withdrawn_key_ends_with_the_next_refresh() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk(), KEYS.a_ec.jwk()]);
        let identity = identity(&origin, PACE);
        identity.first_attempts().await;
        assert_eq!(ask_and_wait(&identity, &mint(&origin, &KEYS.a_ec)).await, Ok(()));
        keys_of(&identity).idle().await;
        origin.page(JWKS, ok(document(&[KEYS.a_rsa.jwk()])));
        let _ = ask_and_wait(&identity, &mint(&origin, &KEYS.a_ed)).await;
        let refused = ask_and_wait(&identity, &mint(&origin, &KEYS.a_ec)).await;
        assert!(
            matches!(refused, Err(TokenRefusal::UnknownKey { .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn keys_are_refreshed_without_being_asked_for() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let identity = identity(
            &origin,
            Pace {
                refresh: Duration::ZERO,
                ..PACE
            },
        );
        let mut attempts = keys_of(&identity).shared.attempts.subscribe();
        attempts.wait_for(|a| a.finished >= 3).await.unwrap();
        let generation = keys_of(&identity).current().unwrap().generation;
        assert_eq!(generation, 1, "the same keys keep their generation");
    });
}

#[test]
fn dropping_the_keys_ends_the_fetching() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        origin.close_gate();
        let identity = identity(&origin, PACE);
        let waiting = keys_of(&identity).first_attempt();
        let shared = Arc::downgrade(&keys_of(&identity).shared);
        drop(identity);
        waiting.wait().await;
        assert!(shared.upgrade().is_none(), "the task still runs");
        origin.open_gate();
    });
}

/// A log that fails in the worst way.
struct Panics;

impl tracing::Subscriber for Panics {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("nobody reads the log");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What an issuer has withdrawn does not stay believed because the log cannot be written.
#[test]
fn keys_are_in_force_before_the_log_says_so() {
    let parsed = |jwk| KeySet::parse(&document(&[jwk])).unwrap().0;
    let mut leaked = KEYS.a_rsa.jwk();
    leaked["d"] = "AAAA".into();
    let secret = FetchFailure::Jwks(KeySet::parse(&document(&[leaked])).unwrap_err());
    for (outcome, expected) in [
        (Ok((parsed(KEYS.a_ec.jwk()), Vec::new())), parsed(KEYS.a_ec.jwk())),
        (Err(secret), KeySet::default()),
    ] {
        let keys = holding(parsed(KEYS.a_rsa.jwk()));
        let shared = &keys.shared;
        let taken = tracing::subscriber::with_default(Panics, || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                shared.take("main", Instant::now(), outcome);
            }))
        });
        assert!(taken.is_err(), "it is logged");
        assert_eq!(*keys.current().unwrap().keys, expected);
    }
}
