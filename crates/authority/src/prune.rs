//! What nothing depends on any more is removed: revocations of tokens that have expired, tokens that have, and users of
//! other nodes who are nobody here and have no token.
//!
//! The only place where the time of this host removes something, so it is not taken at its word: a day is waited, and
//! nothing is removed while the clock was set, for then tokens that it calls expired may be good.

use std::time::{Duration, Instant, SystemTime};

use sqlx::AssertSqlSafe;

use crate::store::{Audit, Part, Store, StoreError, now};

/// How often.
const EVERY: Duration = Duration::from_secs(3600);
/// How long after the last moment.
const LATER: i64 = 24 * 3600;
/// How long revocations stay after what they name has ended, whatever was said of that end: longer than tokens can be renewed
/// that it was exchanged for (a year, and a day for the last of them and a day of grace).
pub(crate) const REVOKED_FOR: i64 = 400 * 24 * 3600;
/// How far two clocks may run apart between two looks.
const DRIFT: Duration = Duration::from_secs(60);

/// A table, which of its rows are past, and what decisions know of it.
const TABLES: [(&str, &str, &[Part]); 5] = [
    (
        "revocations",
        "expires_at < $1 AND created_at < $1",
        &[Part::Revocations],
    ),
    ("network_tokens", "expires_at < $1", &[Part::NetworkTokens]),
    // After their tokens. They come by themselves, and a node may have so many only.
    (
        "remote_users",
        "created_at < $1 AND local_issuer IS NULL AND id NOT IN (SELECT remote_user FROM network_tokens)",
        &[],
    ),
    (
        "delegated_tokens",
        "expires_at < $1 AND renewable_until < $1",
        &[],
    ),
    ("keys", "verifies_until < $1", &[Part::Keys]),
];

/// When it was done last, by both clocks.
#[derive(Debug)]
pub(crate) struct Pruning {
    last: (Instant, SystemTime),
}

impl Pruning {
    pub(crate) fn new() -> Self {
        Self {
            last: (Instant::now(), SystemTime::now()),
        }
    }

    /// Does it, if it is time.
    pub(crate) async fn when_due(&mut self, store: &Store) {
        let (instant, time) = self.last;
        if instant.elapsed() < EVERY {
            return;
        }
        self.last = (Instant::now(), SystemTime::now());
        let by_the_clock = self.last.1.duration_since(time).unwrap_or_default();
        if by_the_clock.abs_diff(self.last.0.duration_since(instant)) > DRIFT {
            tracing::warn!("the clock of this host was set; nothing that has expired is removed for an hour");
            return;
        }
        if let Err(why) = prune(store, now() - LATER).await {
            tracing::warn!(%why, "what has expired was not removed from the store");
        }
    }
}

/// Removes what was past at that time.
pub(crate) async fn prune(store: &Store, before: i64) -> Result<(), StoreError> {
    for (table, past, parts) in TABLES {
        let before = match table {
            "revocations" => before - REVOKED_FOR,
            _ => before,
        };
        let any = format!("SELECT 1 FROM {table} WHERE {past} LIMIT 1");
        let any = sqlx::query(AssertSqlSafe(any)).bind(before);
        if store.rows(any).await?.is_empty() {
            continue;
        }
        let audit = Audit {
            by: "portcullis",
            what: "prune",
            object: table,
            details: None,
        };
        let mut change = store.change(audit, parts).await?;
        let delete = format!("DELETE FROM {table} WHERE {past}");
        change
            .execute(sqlx::query(AssertSqlSafe(delete)).bind(before))
            .await?;
        change.commit().await?;
    }
    Ok(())
}
