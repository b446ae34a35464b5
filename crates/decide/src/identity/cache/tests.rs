use model::PrincipalKind;

use super::super::claims::Registered;
use super::*;

/// Three megabytes hold at most so many of 100 tokens: three tenths of them with what was derived, the rest as proofs.
#[test]
fn what_is_large_is_counted_as_large() {
    let long = "a".repeat(64 * 1024);
    let claim = ("/about".to_owned(), long.clone());
    let plain = Principal::new(PrincipalKind::User, "main", "anna");
    let shown = Principal {
        claims: vec![claim],
        ..plain.clone()
    };
    for (principal, token, more, proofs, lately) in [
        (&plain, "", 0, 100..=100, 80..=100),
        // A long token is only kept where it is looked for.
        (&plain, long.as_str(), 0, 100..=100, 0..=16),
        // Of a short one, such as an opaque one, what it stands for.
        (&shown, "", 0, 0..=32, 0..=6),
        // What files say of somebody is derived, not proven.
        (&plain, "", long.len(), 100..=100, 0..=16),
    ] {
        let cache = TokenCache::new(3 << 20);
        for number in 0..100 {
            let token = format!("{number}{token}");
            let proof = Proof {
                proven: Arc::new(Proven {
                    principal: principal.clone().into(),
                    registered: Registered::without_end("anna"),
                    signed_with: None,
                }),
                verifier: 0,
                until: Instant::now() + MAX_AGE,
            };
            cache.prove(Digest::of(&token), &proof);
            let verified = Verified {
                proof,
                derived: (),
                generation: 0,
            };
            cache.put(&token, &Arc::new(verified), more);
        }
        let held = cache.held();
        assert!(proofs.contains(&held.0) && lately.contains(&held.1), "{held:?}");
    }
}

/// Ten thousand tokens that come in the same moment are verified again over more than a minute and a half.
#[test]
fn what_was_proven_at_once_does_not_end_at_once() {
    let now = Instant::now();
    let mut ends: Vec<u64> = (0..10_000)
        .map(|number| (until(&Digest::of(&format!("token {number}")), now) - now).as_secs())
        .collect();
    ends.sort_unstable();
    assert!(ends.iter().all(|end| (200..=300).contains(end)));
    let most = ends.chunk_by(|a, b| a == b).map(<[u64]>::len).max().unwrap();
    assert!(most < 200, "{most} within one second");
}
