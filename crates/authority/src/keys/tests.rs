//! Keys in a store of their own: which signs, which verify, and what is kept of them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use model::HouseView;

use super::*;
use crate::{StoreSettings, prune};

/// A store in a folder that is gone afterwards.
pub(crate) struct Kept {
    folder: PathBuf,
    views: Arc<Mutex<Option<HouseView>>>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("portcullis-keys-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            views: Arc::default(),
        }
    }

    pub(crate) async fn open(&self, keys: &KeySettings) -> Authority {
        let settings = StoreSettings {
            store: format!("sqlite:{}/house.db", self.folder.display()).into(),
            ..StoreSettings::default()
        };
        let views = Arc::clone(&self.views);
        let publish = move |view| *views.lock().unwrap() = Some(view);
        let authority = Authority::start(&settings, Arc::new(publish)).await.unwrap();
        authority.with_keys(keys).unwrap()
    }

    pub(crate) fn view(&self) -> HouseView {
        self.views.lock().unwrap().clone().unwrap()
    }

    fn published(&self) -> Vec<String> {
        let mut kids: Vec<String> = self.view().keys.iter().map(|key| key.kid.clone()).collect();
        kids.sort();
        kids
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn sealed(digit: &str) -> KeySettings {
    KeySettings {
        encryption_key: Some(digit.repeat(64).into()),
        ..KeySettings::default()
    }
}

fn files(pairs: &[&str]) -> KeySettings {
    KeySettings {
        token_keys: pairs.iter().map(|pem| (*pem).into()).collect(),
        ..KeySettings::default()
    }
}

async fn signer(authority: &Authority) -> String {
    let keys = authority.keys().await.unwrap();
    let mut signs = keys.iter().filter(|key| key.signs && key.usage == KeyUse::Tokens);
    let kid = signs.next().unwrap().kid.clone();
    assert_eq!(signs.next(), None);
    kid
}

#[test]
fn what_is_sealed_opens_with_the_same_key_and_name_only() {
    let sealing = |digit: &str| Sealing::new(&digit.repeat(64).into()).unwrap();
    let text = sealing("a").seal("kid", b"private").unwrap();
    assert!(!text.contains(&hex(b"private")));
    assert_ne!(sealing("a").seal("kid", b"private").unwrap(), text);
    assert_eq!(sealing("a").open("kid", &text).unwrap(), b"private");
    assert_eq!(sealing("a").open("other", &text), None);
    assert_eq!(sealing("b").open("kid", &text), None);
    for broken in ["", "00", "zz", &text[2..], &text[..text.len() - 2]] {
        assert_eq!(sealing("a").open("kid", broken), None, "{broken}");
    }
    for wrong in ["", "a", &"a".repeat(63), &"a".repeat(66), &"g".repeat(64)] {
        assert!(Sealing::new(&(*wrong).into()).is_none(), "{wrong}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_told_at_once() {
    let settings = KeySettings {
        encryption_key: Some("short".into()),
        token_keys: vec!["no key".into()],
        publish_ahead_seconds: 100_000,
    };
    let pointers: Vec<String> = settings.validate().into_iter().map(|flaw| flaw.pointer).collect();
    assert_eq!(
        pointers,
        ["/encryption_key", "/token_keys/0", "/publish_ahead_seconds"]
    );
    assert_eq!(sealed("a").validate(), []);
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_unless_it_must_sign_now() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    authority.ensure_keys(KeyUse::Tokens).await.unwrap();
    let first = signer(&authority).await;
    assert_eq!(kept.published(), std::slice::from_ref(&first));
    authority.ensure_keys(KeyUse::Tokens).await.unwrap();
    assert_eq!(kept.published(), std::slice::from_ref(&first));

    authority
        .rotate_keys("ada", &[KeyUse::Tokens], Rotation::Published)
        .await
        .unwrap();
    assert_eq!(signer(&authority).await, first);
    assert_eq!(kept.published().len(), 2);

    authority
        .rotate_keys("ada", &[KeyUse::Tokens], Rotation::Now)
        .await
        .unwrap();
    let third = signer(&authority).await;
    assert_ne!(third, first);
    assert_eq!(kept.published().len(), 3);
    let info = authority.keys().await.unwrap();
    let retired = info
        .iter()
        .filter(|key| key.retired_at.is_some() && key.verifies_until.is_some());
    assert_eq!(retired.count(), 2);

    authority.remove_key("ada", &first).await.unwrap();
    assert!(!kept.published().contains(&first));
    assert_eq!(
        authority.remove_key("ada", &first).await,
        Err(StoreError::NotFound)
    );

    prune::prune(&authority.store, now() + 1000).await.unwrap();
    assert_eq!(kept.published(), [third]);
}

#[tokio::test]
async fn private_keys_are_for_those_who_have_the_encryption_key() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    let pems = authority.node_keys().await.unwrap();
    assert!(pems[0].expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"));
    let other = kept.open(&sealed("b")).await;
    let refused = other.node_keys().await.unwrap_err().to_string();
    assert!(refused.contains("encrypted with another key"), "{refused}");
    // What only verifies stops nobody.
    other
        .rotate_keys("ada", &[KeyUse::Nodes], Rotation::Now)
        .await
        .unwrap();
    assert_eq!(other.node_keys().await.unwrap().len(), 1);
    assert!(
        authority.node_keys().await.is_err(),
        "the one that signs is not readable"
    );
    let without = kept.open(&KeySettings::default()).await;
    assert!(matches!(without.node_keys().await, Err(StoreError::Invalid(_))));
    let refused = without.ensure_keys(KeyUse::Tokens).await.unwrap_err().to_string();
    assert!(refused.contains("authority.keys.encryption_key"), "{refused}");
}

#[tokio::test]
async fn node_keys_rotate_with_the_signing_one_first() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    let first = authority.node_keys().await.unwrap();
    authority
        .rotate_keys("ada", &[KeyUse::Nodes], Rotation::Now)
        .await
        .unwrap();
    let second = authority.node_keys().await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 2));
    assert_eq!(second[1].expose_secret(), first[0].expose_secret());
    assert!(
        kept.published().is_empty(),
        "no token of a user is verified with a key for nodes"
    );
}

#[tokio::test]
async fn keys_in_files_take_the_place_of_those_in_the_store_and_back() {
    let pem = || jwt_simple::algorithms::Ed25519KeyPair::generate().to_pem();
    let (one, two) = (pem(), pem());
    let kid = |pem: &str| Pair::token_from_pem(pem).unwrap().kid().unwrap();
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    authority.ensure_keys(KeyUse::Tokens).await.unwrap();
    let stored = signer(&authority).await;
    for (settings, signs, published) in [
        (files(&[&one, &two]), kid(&one), 3),
        (files(&[&two, &one]), kid(&two), 3),
        (files(&[&two]), kid(&two), 3),
    ] {
        let authority = kept.open(&settings).await;
        authority.ensure_keys(KeyUse::Tokens).await.unwrap();
        assert_eq!(signer(&authority).await, signs);
        assert_eq!(kept.published().len(), published);
        let refused = authority
            .rotate_keys("ada", &[KeyUse::Tokens], Rotation::Now)
            .await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))));
    }
    let authority = kept.open(&files(&[&two])).await;
    authority.remove_key("ada", &kid(&two)).await.unwrap();
    for settings in [files(&[&two]), files(&[&one, &two])] {
        let refused = kept.open(&settings).await.ensure_keys(KeyUse::Tokens).await;
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("take it out of `authority.keys.token_keys`"),
            "{refused}"
        );
        assert!(!kept.published().contains(&kid(&two)));
    }
    let authority = kept.open(&sealed("a")).await;
    authority.ensure_keys(KeyUse::Tokens).await.unwrap();
    let again = signer(&authority).await;
    assert!(
        again != stored && again != kid(&one) && again != kid(&two),
        "retired keys do not sign again"
    );
    assert_eq!(kept.published().len(), 3);
}
