//! An issuer changes its keys: what was verified with one that stays is not verified again, all else is.

use serde_json::Value;

use crate::identity::refusal::Quoted;
use crate::identity::settings::KidRule;

use super::*;

/// An issuer with these keys, and an identity that knows them.
async fn knowing(keys: &[Value]) -> (Origin, Identity<()>) {
    let origin = Origin::new(keys);
    let mut settings = settings("main", &origin.url());
    settings.kid = KidRule::Optional;
    let identity = identity_of(&settings, PACE);
    identity.first_attempts().await;
    keys_of(&identity).idle().await;
    (origin, identity)
}

/// The issuer publishes these keys from now on, and they are fetched: somebody asks with a key that nobody knows.
async fn publish(origin: &Origin, identity: &Identity<()>, keys: &[Value]) {
    // What is being fetched for somebody else may be from before.
    keys_of(identity).idle().await;
    let before = keys_of(identity).current().map(|current| current.generation);
    origin.page(JWKS, ok(document(keys)));
    let unknown = ask_and_wait(identity, &mint(origin, &KEYS.a_ec384)).await;
    assert!(
        matches!(unknown, Err(TokenRefusal::UnknownKey { .. })),
        "{unknown:?}"
    );
    keys_of(identity).idle().await;
    let after = keys_of(identity).current().map(|current| current.generation);
    assert!(after > before, "{before:?} {after:?}");
}

/// Verifies the token, or finds that it was; true if it was.
async fn was_known(identity: &Identity<()>, token: &Token) -> bool {
    let verified = || identity.verifications().iter().map(|v| v.verified).sum::<u64>();
    let before = verified();
    assert_eq!(ask_and_wait(identity, token).await, Ok(()));
    verified() == before
}

#[test]
fn a_key_that_stays_keeps_its_tokens_while_others_come_and_go() {
    run(async {
        let (origin, identity) = knowing(&[KEYS.a_rsa.jwk(), KEYS.a_ed.jwk()]).await;
        let (stays, goes) = (mint(&origin, &KEYS.a_rsa), mint(&origin, &KEYS.a_ed));
        assert!(!was_known(&identity, &stays).await);
        assert!(!was_known(&identity, &goes).await);
        // The next key is published ahead, then signs, then the old one is withdrawn.
        let all = [KEYS.a_rsa.jwk(), KEYS.a_ed.jwk(), KEYS.b_rsa.jwk()];
        publish(&origin, &identity, &all).await;
        assert!(was_known(&identity, &stays).await);
        assert!(was_known(&identity, &goes).await);
        assert!(!was_known(&identity, &mint(&origin, &KEYS.b_rsa)).await);
        publish(&origin, &identity, &[KEYS.a_rsa.jwk(), KEYS.b_rsa.jwk()]).await;
        assert!(was_known(&identity, &stays).await);
        assert!(was_known(&identity, &mint(&origin, &KEYS.b_rsa)).await);
        let refused = ask_and_wait(&identity, &goes).await;
        assert!(
            matches!(refused, Err(TokenRefusal::UnknownKey { .. })),
            "{refused:?}"
        );
        // It comes back: what was known of its tokens before does not.
        publish(&origin, &identity, &all).await;
        assert!(!was_known(&identity, &goes).await);
        assert!(was_known(&identity, &goes).await);
        assert!(was_known(&identity, &stays).await);
    });
}

#[test]
fn another_key_of_the_same_name_ends_what_the_first_one_signed() {
    run(async {
        let (origin, identity) = knowing(&[KEYS.a_rsa.jwk(), KEYS.a_ed.jwk()]).await;
        let token = mint(&origin, &KEYS.a_rsa);
        assert!(!was_known(&identity, &token).await);
        publish(&origin, &identity, &[KEYS.mallory.jwk(), KEYS.a_ed.jwk()]).await;
        let refused = ask_and_wait(&identity, &token).await;
        assert!(matches!(refused, Err(TokenRefusal::Signature(_))), "{refused:?}");
        // Nor does it count when both have that name, for then neither does.
        publish(&origin, &identity, &[KEYS.a_rsa.jwk(), KEYS.a_ed.jwk()]).await;
        assert!(!was_known(&identity, &token).await);
        let both = [KEYS.mallory.jwk(), KEYS.a_rsa.jwk(), KEYS.a_ed.jwk()];
        publish(&origin, &identity, &both).await;
        let refused = ask_and_wait(&identity, &token).await;
        assert!(
            matches!(refused, Err(TokenRefusal::UnknownKey { .. })),
            "{refused:?}"
        );
    });
}

/// Without a name it was good because no other key could be meant.
#[test]
fn a_token_that_names_no_key_is_looked_at_again_after_every_change() {
    run(async {
        let (origin, identity) = knowing(&[KEYS.a_rsa.jwk(), KEYS.a_ed.jwk()]).await;
        let token = mint(&origin, &KEYS.a_rsa).no_head("kid");
        assert!(!was_known(&identity, &token).await);
        assert!(was_known(&identity, &token).await);
        publish(&origin, &identity, &[KEYS.a_rsa.jwk()]).await;
        assert!(!was_known(&identity, &token).await);
        publish(&origin, &identity, &[KEYS.a_rsa.jwk(), KEYS.b_rsa.jwk()]).await;
        let refused = ask_and_wait(&identity, &token).await;
        assert!(matches!(refused, Err(TokenRefusal::KidMissing(_))), "{refused:?}");
    });
}

#[test]
fn a_published_private_key_ends_everything_and_what_comes_after_begins_anew() {
    run(async {
        let (origin, identity) = knowing(&[KEYS.a_rsa.jwk()]).await;
        let token = mint(&origin, &KEYS.a_rsa);
        assert!(!was_known(&identity, &token).await);
        let leaked = FetchFailure::Jwks(JwksRefusal::PrivateKey(Quoted::new("a-rsa-1")));
        let shared = &keys_of(&identity).shared;
        shared.take("main", Instant::now(), Err(leaked));
        let refused = ask(&identity, &token);
        assert!(!matches!(refused, Identified::Verified(..)), "{refused:?}");
        keys_of(&identity).replace(KeySet::parse(&document(&[KEYS.a_rsa.jwk()])).unwrap().0);
        assert!(!was_known(&identity, &token).await);
        assert!(was_known(&identity, &token).await);
    });
}
