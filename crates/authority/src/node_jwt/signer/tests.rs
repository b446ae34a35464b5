use super::*;
use crate::keys::tests::{Kept, sealed};

/// A store that is away, or that has keys which cannot be used.
fn away() -> Result<Vec<SecretString>, StoreError> {
    Err(StoreError::Unavailable("away".to_owned()))
}

fn unusable() -> Result<Vec<SecretString>, StoreError> {
    Ok(vec!["no key".into()])
}

#[tokio::test]
async fn the_last_keys_serve_while_the_store_is_away() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("1")).await;
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    let good = authority.node_keys().await;
    type Look = fn() -> Result<Vec<SecretString>, StoreError>;
    // Were there keys before, what the store says, whether there are keys then, and for how long that is not asked again.
    let rows: [(bool, Option<Look>, bool, u64); 5] = [
        (false, None, true, 10_000),
        (true, Some(away), true, 1000),
        (false, Some(away), false, 1000),
        (true, Some(unusable), false, 1000),
        (false, Some(unusable), false, 1000),
    ];
    for (before, look, expected, milliseconds) in rows {
        let mut last = Last::default();
        if before {
            last.looked(good.clone(), start).unwrap();
        }
        let said = last.looked(look.map_or_else(|| good.clone(), |look| look()), start);
        let row = format!("{before} {milliseconds} {said:?}");
        assert_eq!(said.is_ok(), expected, "{row}");
        let kept = last.answer(at(milliseconds - 1)).unwrap();
        assert_eq!(kept.is_ok(), expected, "{row}");
        assert!(last.answer(at(milliseconds)).is_none(), "{row}");
    }
}

#[tokio::test]
async fn who_has_keys_does_not_wait_for_a_look_into_the_store() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("1")).await;
    let signer = Signer::Stored(Stored::default());
    signer.get(&authority).await.unwrap();
    let Signer::Stored(stored) = &signer else {
        panic!("the keys are in the store");
    };
    stored.last().again = None;
    let _under_way = stored.looking.lock().await;
    signer.get(&authority).await.unwrap();
}
