//! What junk costs: fetches, memory, and other people's cached verdicts.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::identity::Verified;

/// How many tokens of each kind.
const FLOOD: usize = 100_000;

/// Numbers that look random and are the same in every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    fn text(&mut self) -> String {
        let length = self.next() % 200 + 1;
        let letter = |n: u64| char::from(b'!' + u8::try_from(n % 94).unwrap());
        (0..length).map(|_| letter(self.next())).collect()
    }
}

fn bearer(identity: &Identity<()>, token: &str) -> Identified<()> {
    let value = format!("Bearer {token}");
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    identity.identify(&headers, None, now())
}

fn verified(identity: &Identity<()>, token: &str) -> Arc<Verified<()>> {
    match bearer(identity, token) {
        Identified::Verified(verified, _) => verified,
        other => panic!("{other:?}"),
    }
}

/// A token of the issuer with a key that nobody knows, and a signature that nobody made.
fn unknown_key(numbers: &mut Numbers, claims: &str) -> String {
    let header = format!(
        "{{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"k-{:x}\"}}",
        numbers.next()
    );
    format!("{}.{claims}.{}", b64(header), b64(numbers.bytes(64)))
}

/// Anything at all, sometimes in the shape of a JWT.
fn anything(numbers: &mut Numbers, number: usize) -> String {
    match number % 4 {
        0 => numbers.text(),
        1 => format!("{}.{}.{}", numbers.text(), numbers.text(), numbers.text()),
        2 => [40, 100, 64].map(|count| b64(numbers.bytes(count))).join("."),
        _ => {
            let claims = json!({"iss": format!("https://{:x}.test", numbers.next()), "sub": numbers.text()});
            unknown_key(numbers, &b64(claims.to_string()))
        }
    }
}

#[test]
fn junk_costs_few_fetches_and_nobody_elses_verdict() {
    run_within(Duration::from_secs(600), async {
        let interval = Duration::from_millis(50);
        let pace = Pace {
            cool_down: interval,
            ..PACE
        };
        let origin = Origin::new(&[KEYS.a_rsa.jwk(), KEYS.a_ed.jwk()]);
        let begun = Instant::now();
        let settings = settings("main", &origin.url());
        let source = Source {
            issuer: settings.issuer.clone(),
            place: Place::Discovery,
        };
        let keys = IssuerKeys::start("main", source, pace, Since::Start, RUNTIME.handle());
        let issuer = Verifier::Issuer(Box::new(Issuer::with_keys(&settings, keys)));
        let derived = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&derived);
        let identity = Identity::with_verifiers(vec![issuer], DEFAULT_CACHE_BYTES, move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        identity.first_attempts().await;

        let honest: Vec<String> = (0..100)
            .map(|n| mint(&origin, &KEYS.a_ed).claim("sub", format!("user-{n}")).mint())
            .collect();
        let before: Vec<_> = honest.iter().map(|token| verified(&identity, token)).collect();
        let held = identity.verified.held();
        assert_eq!(held.0, 100);
        keys_of(&identity).idle().await;

        let mut numbers = Numbers(1);
        let claims = b64(token(&KEYS.a_ec).claim("iss", origin.url()).claims_text());
        let mut awaited = 0;
        for number in 0..FLOOD {
            for junk in [unknown_key(&mut numbers, &claims), anything(&mut numbers, number)] {
                match bearer(&identity, &junk) {
                    Identified::Refused(_) => {}
                    Identified::NotYet(_) => awaited += 1,
                    other => panic!("{junk}: {other:?}"),
                }
            }
        }
        // What they wanted is fetched, now at the latest.
        let wanted = *keys_of(&identity).wanted.borrow();
        let mut attempts = keys_of(&identity).shared.attempts.subscribe();
        let rests = |a: &Attempts| a.phase == Phase::Idle && a.finished >= wanted;
        attempts.wait_for(rests).await.unwrap();
        let (discoveries, fetches) = (origin.hits(DISCOVERY), origin.hits(JWKS));
        let intervals = begun.elapsed().as_millis() / interval.as_millis();
        assert!(
            awaited > 0 && fetches > 1,
            "nothing was ever fetched for an unknown key"
        );
        assert!(
            fetches as u128 <= 1 + intervals,
            "{fetches} fetches in {intervals} intervals"
        );
        assert_eq!(discoveries, fetches);

        assert_eq!(identity.verified.held(), held, "junk is in the cache");
        for (token, before) in honest.iter().zip(&before) {
            assert!(Arc::ptr_eq(&verified(&identity, token), before), "verified twice");
        }
        assert_eq!(derived.load(Ordering::Relaxed), honest.len());
    });
}

#[test]
fn a_thousand_who_wait_for_a_key_cost_one_fetch() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let identity = Arc::new(identity(&origin, PACE));
        identity.first_attempts().await;
        keys_of(&identity).idle().await;
        origin.close_gate();
        let next = mint(&origin, &KEYS.a_ed).mint();
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let Identified::NotYet(wanted) = bearer(&identity, &next) else {
                    panic!("no wait")
                };
                let (identity, next) = (Arc::clone(&identity), next.clone());
                tokio::spawn(async move {
                    wanted.wait().await;
                    matches!(bearer(&identity, &next), Identified::Verified(_, _))
                })
            })
            .collect();
        origin.page(JWKS, ok(document(&[KEYS.a_rsa.jwk(), KEYS.a_ed.jwk()])));
        origin.open_gate();
        for wait in waiting {
            assert!(wait.await.unwrap(), "somebody waited in vain");
        }
        assert_eq!((origin.hits(DISCOVERY), origin.hits(JWKS)), (2, 2));
        assert_eq!(identity.verified.held().0, 1);
    });
}
