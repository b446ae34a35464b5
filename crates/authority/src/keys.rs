//! The keys of the house: Ed25519 for tokens that it issues, RSA for what other nodes verify.
//!
//! Private parts are encrypted in the store, or come from files. A new key is published for a while before it signs, and the
//! one before it verifies as long as there are tokens that it signed.

mod pair;
mod sealed;
mod settings;

use secrecy::ExposeSecret as _;
use sqlx::Row as _;
use sqlx::any::AnyRow;

pub(crate) use self::pair::Pair;
use self::sealed::Sealing;
pub use self::settings::KeySettings;
use crate::store::{Audit, Change, Part, now, told};
use crate::{Authority, StoreError};

/// For how many seconds a node key is published after it has signed for the last time: what it signed is good for minutes.
const NODE_KEYS_STAY: i64 = 3600;

/// For how many seconds a key is kept after its last token has ended: so long at most that can still be renewed.
const LATER: i64 = 86_400;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Delegated tokens: Ed25519, `EdDSA`.
    Tokens,
    /// Tokens to other nodes: RSA, `RS256`.
    Nodes,
}

/// When a new key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// When everybody has had time to learn it.
    Published,
    /// At once: the one before must not sign any more. Whoever keeps the published keys refuses new tokens until they look again.
    Now,
}

/// A key of the house, without its private part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name in the header of tokens and in the published key sets.
    pub kid: String,
    /// What it signs.
    pub usage: KeyUse,
    /// True for the one of its use that signs now.
    pub signs: bool,
    /// Unix seconds.
    pub created_at: i64,
    /// Since when, or from when on, it only verifies; `None` for one without successor.
    pub retired_at: Option<i64>,
    /// Until when there may be tokens that it signed; it is removed some time after that.
    pub verifies_until: Option<i64>,
}

/// What signs and what decrypts.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    sealing: Option<Sealing>,
    /// Keys from files for delegated tokens; the first signs.
    token_files: Vec<Pair>,
    publish_ahead: i64,
}

impl KeyUse {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Nodes];

    /// The name in `alg`.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Tokens => "EdDSA",
            Self::Nodes => "RS256",
        }
    }

    /// As the store calls it.
    fn purpose(self) -> &'static str {
        match self {
            Self::Tokens => "delegation",
            Self::Nodes => "node",
        }
    }
}

impl Keyring {
    /// # Errors
    /// [`StoreError::Invalid`]: what [`KeySettings::validate`] tells in detail.
    pub(crate) fn new(settings: &KeySettings) -> Result<Self, StoreError> {
        let invalid = |what: &str| StoreError::Invalid(format!("`authority.keys.{what}` cannot be used"));
        let sealing = settings
            .encryption_key
            .as_ref()
            .map(|key| Sealing::new(key).ok_or_else(|| invalid("encryption_key")));
        let files = settings.token_keys.iter();
        let files =
            files.map(|pem| Pair::token_from_pem(pem.expose_secret()).ok_or_else(|| invalid("token_keys")));
        Ok(Self {
            sealing: sealing.transpose()?,
            token_files: files.collect::<Result<_, _>>()?,
            publish_ahead: i64::try_from(settings.publish_ahead_seconds).unwrap_or(i64::MAX),
        })
    }

    fn files(&self, usage: KeyUse) -> &[Pair] {
        match usage {
            KeyUse::Tokens => &self.token_files,
            KeyUse::Nodes => &[],
        }
    }

    fn open(&self, usage: KeyUse, row: &Kept) -> Result<Pair, StoreError> {
        let kid = &row.info.kid;
        if let Some(pair) = self
            .files(usage)
            .iter()
            .find(|pair| pair.kid().as_ref() == Some(kid))
        {
            return Pair::from_private(usage, pair.private()).ok_or_else(broken);
        }
        let opened = self.sealing()?.open(kid, &row.sealed);
        opened.and_then(|private| Pair::from_private(usage, private)).ok_or_else(|| {
            StoreError::Invalid(format!(
                "the private key {kid} in the store was encrypted with another key than `authority.keys.encryption_key`"
            ))
        })
    }

    fn sealing(&self) -> Result<&Sealing, StoreError> {
        let missing =
            "`authority.keys.encryption_key` is missing, so no private key can be kept in the store";
        self.sealing
            .as_ref()
            .ok_or_else(|| StoreError::Invalid(missing.to_owned()))
    }
}

/// A row of the table.
struct Kept {
    info: KeyInfo,
    /// Empty for one that is in a file.
    sealed: String,
}

impl Authority {
    /// The same with keys.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for settings that cannot be used.
    pub fn with_keys(mut self, settings: &KeySettings) -> Result<Self, StoreError> {
        self.keys = std::sync::Arc::new(Keyring::new(settings)?);
        Ok(self)
    }

    /// Sees to it that there is a key of that use that signs, and that those in files are published. Does nothing when all is
    /// as it should be.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a key in a file that was removed; [`StoreError::Unavailable`].
    pub async fn ensure_keys(&self, usage: KeyUse) -> Result<(), StoreError> {
        let files: Vec<String> = self.keys.files(usage).iter().filter_map(Pair::kid).collect();
        // What is kept elsewhere than it should be only verifies.
        let in_place = |row: &Kept| match files.is_empty() {
            true => !row.sealed.is_empty(),
            false => files.contains(&row.info.kid),
        };
        let is_right = |row: &Kept| match in_place(row) {
            true => files.is_empty() || row.info.retired_at.is_none(),
            false => row.info.retired_at.is_some(),
        };
        let kept = self.kept(usage).await?;
        let has = |kid: &String| kept.iter().any(|row| row.info.kid == *kid);
        if kept.iter().any(|row| row.info.signs) && kept.iter().all(is_right) && files.iter().all(has) {
            return Ok(());
        }
        refuse_removed(&files, &self.store.rows(removed()).await?)?;
        let spare = match files.is_empty() {
            true => Some(self.make(usage).await?),
            false => None,
        };
        let mut change = self.key_change("portcullis", "ensure keys", usage).await?;
        // Somebody may have removed one meanwhile.
        refuse_removed(&files, &change.rows(removed()).await?)?;
        let kept = read(&change.rows(select(usage)).await?)?;
        let time = now();
        for row in kept.iter().filter(|row| !is_right(row)) {
            if in_place(row) {
                let again = "UPDATE keys SET retired_at = NULL, verifies_until = NULL WHERE kid = $1";
                change
                    .execute(sqlx::query(again).bind(row.info.kid.as_str()))
                    .await?;
            } else {
                retire(&mut change, usage, &row.info.kid, time).await?;
            }
        }
        for pair in self.keys.files(usage) {
            if !kept.iter().any(|row| Some(&row.info.kid) == pair.kid().as_ref()) {
                insert(&mut change, usage, pair, String::new(), time).await?;
            }
        }
        if let Some((pair, sealed)) = spare
            && !kept
                .iter()
                .any(|row| in_place(row) && row.info.retired_at.is_none())
        {
            insert(&mut change, usage, &pair, sealed, time).await?;
        }
        change.commit().await
    }

    /// Makes a new key of each of these uses. The ones before verify until the last token they signed is gone.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for keys that are in files.
    pub async fn rotate_keys(&self, by: &str, uses: &[KeyUse], rotation: Rotation) -> Result<(), StoreError> {
        for usage in uses {
            if !self.keys.files(*usage).is_empty() {
                let why = "these keys are in `authority.keys.token_keys`: put a new one there";
                return Err(StoreError::Invalid(why.to_owned()));
            }
            let (pair, sealed) = self.make(*usage).await?;
            let mut change = self.key_change(by, "rotate keys", *usage).await?;
            let time = now();
            let from = match rotation {
                Rotation::Published => time.saturating_add(self.keys.publish_ahead),
                Rotation::Now => time,
            };
            let kept = read(&change.rows(select(*usage)).await?)?;
            for row in kept
                .iter()
                .filter(|row| row.info.retired_at.is_none_or(|at| at > from))
            {
                retire(&mut change, *usage, &row.info.kid, from).await?;
            }
            let gone = "DELETE FROM keys WHERE purpose = $1 AND verifies_until < $2";
            change
                .execute(sqlx::query(gone).bind(usage.purpose()).bind(time - LATER))
                .await?;
            insert(&mut change, *usage, &pair, sealed, time).await?;
            change.commit().await?;
        }
        Ok(())
    }

    /// Removes a key at once and for ever: every token that it signed is refused from now on, and a file that still has it is
    /// refused too. For a key that leaked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]
    pub async fn remove_key(&self, by: &str, kid: &str) -> Result<(), StoreError> {
        let audit = Audit {
            by,
            what: "remove key",
            object: kid,
            details: None,
        };
        let mut change = self.store.change(audit, &[Part::Keys]).await?;
        if change
            .execute(sqlx::query("DELETE FROM keys WHERE kid = $1").bind(kid))
            .await?
            == 0
        {
            return Err(StoreError::NotFound);
        }
        let never_again = sqlx::query(
            "INSERT INTO removed_keys (kid, removed_at) VALUES ($1, $2) ON CONFLICT (kid) DO NOTHING",
        );
        change.execute(never_again.bind(kid).bind(now())).await?;
        change.commit().await
    }

    /// All keys, the newest of each use first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn keys(&self) -> Result<Vec<KeyInfo>, StoreError> {
        let mut all = Vec::new();
        for usage in KeyUse::ALL {
            all.extend(self.kept(usage).await?.into_iter().rev().map(|row| row.info));
        }
        Ok(all)
    }

    /// The private keys that sign tokens to other nodes, in PEM (PKCS#8): the one that signs first, then those that are only
    /// published. Of these, one that cannot be decrypted is left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn node_keys(&self) -> Result<Vec<secrecy::SecretString>, StoreError> {
        self.ensure_keys(KeyUse::Nodes).await?;
        let mut kept = self.kept(KeyUse::Nodes).await?;
        kept.sort_by_key(|row| !row.info.signs);
        let pem = |row: &Kept| {
            let pair = self.keys.open(KeyUse::Nodes, row)?;
            pair.node_pem().map(Into::into).ok_or_else(broken)
        };
        let mut pems = Vec::new();
        for row in &kept {
            match pem(row) {
                Ok(pem) => pems.push(pem),
                Err(why) if !row.info.signs => {
                    tracing::warn!(kid = row.info.kid, %why, "a key that does not sign is not published to other nodes");
                }
                Err(why) => return Err(why),
            }
        }
        Ok(pems)
    }

    /// The key that signs delegated tokens now, for one that ends at that time.
    pub(crate) async fn token_key(&self, change: &mut Change, ends_at: i64) -> Result<Pair, StoreError> {
        let usage = KeyUse::Tokens;
        let kept = read(&change.rows(select(usage)).await?)?;
        let first = self.keys.files(usage).first().and_then(Pair::kid);
        let row = kept.iter().find(|row| match &first {
            Some(kid) => row.info.kid == *kid,
            None => row.info.signs,
        });
        let row = row.ok_or_else(|| StoreError::Unavailable("the store has no key that signs".to_owned()))?;
        if row.info.verifies_until.is_some_and(|until| until < ends_at) {
            let longer = "UPDATE keys SET verifies_until = $1 WHERE kid = $2";
            change
                .execute(sqlx::query(longer).bind(ends_at).bind(row.info.kid.as_str()))
                .await?;
        }
        self.keys.open(usage, row)
    }

    /// A new key of that use, and its private part encrypted. Takes long, so not within a change.
    async fn make(&self, usage: KeyUse) -> Result<(Pair, String), StoreError> {
        let sealing = self.keys.sealing()?;
        let pair = tokio::task::spawn_blocking(move || Pair::generate(usage)).await;
        let pair = pair.ok().flatten().ok_or_else(broken)?;
        let kid = pair.kid().ok_or_else(broken)?;
        let sealed = sealing.seal(&kid, &pair.private()).ok_or_else(broken)?;
        Ok((pair, sealed))
    }

    async fn key_change(&self, by: &str, what: &'static str, usage: KeyUse) -> Result<Change, StoreError> {
        let audit = Audit {
            by,
            what,
            object: usage.algorithm(),
            details: None,
        };
        self.store.change(audit, &[Part::Keys]).await
    }

    async fn kept(&self, usage: KeyUse) -> Result<Vec<Kept>, StoreError> {
        let mut kept = read(&self.store.rows(select(usage)).await?)?;
        if let Some(first) = self.keys.files(usage).first().and_then(Pair::kid) {
            for row in &mut kept {
                row.info.signs = row.info.kid == first;
            }
        }
        Ok(kept)
    }
}

/// The oldest first: that of them which is not retired yet signs.
fn select(usage: KeyUse) -> crate::store::Statement<'static> {
    sqlx::query(
        "SELECT kid, purpose, private_key, created_at, retired_at, verifies_until FROM keys WHERE purpose = $1 \
         ORDER BY COALESCE(retired_at, 9223372036854775807), created_at, kid",
    )
    .bind(usage.purpose())
}

fn read(rows: &[AnyRow]) -> Result<Vec<Kept>, StoreError> {
    let time = now();
    let mut kept = rows
        .iter()
        .map(|row| {
            let purpose: String = row.try_get("purpose")?;
            let usage = if purpose == KeyUse::Nodes.purpose() {
                KeyUse::Nodes
            } else {
                KeyUse::Tokens
            };
            Ok(Kept {
                info: KeyInfo {
                    kid: row.try_get("kid")?,
                    usage,
                    signs: false,
                    created_at: row.try_get("created_at")?,
                    retired_at: row.try_get("retired_at")?,
                    verifies_until: row.try_get("verifies_until")?,
                },
                sealed: row.try_get("private_key")?,
            })
        })
        .collect::<Result<Vec<Kept>, sqlx::Error>>()
        .map_err(told)?;
    let signs = |row: &&mut Kept| !row.sealed.is_empty() && row.info.retired_at.is_none_or(|at| at > time);
    if let Some(row) = kept.iter_mut().find(signs) {
        row.info.signs = true;
    }
    Ok(kept)
}

/// The names of the keys that were removed.
fn removed() -> crate::store::Statement<'static> {
    sqlx::query("SELECT kid FROM removed_keys")
}

fn refuse_removed(files: &[String], removed: &[AnyRow]) -> Result<(), StoreError> {
    for row in removed {
        let kid: String = row.try_get("kid").map_err(told)?;
        if files.contains(&kid) {
            return Err(StoreError::Invalid(format!(
                "the key {kid} was removed and never signs again: take it out of `authority.keys.token_keys`"
            )));
        }
    }
    Ok(())
}

async fn insert(
    change: &mut Change,
    usage: KeyUse,
    pair: &Pair,
    sealed: String,
    time: i64,
) -> Result<(), StoreError> {
    let statement = sqlx::query(
        "INSERT INTO keys (kid, purpose, public_key, private_key, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(pair.kid().ok_or_else(broken)?)
    .bind(usage.purpose())
    .bind(pair.public().ok_or_else(broken)?)
    .bind(sealed)
    .bind(time);
    change.execute(statement).await.map(|_| ())
}

/// From then on it only verifies, as long as there is a token that it may have signed.
async fn retire(change: &mut Change, usage: KeyUse, kid: &str, from: i64) -> Result<(), StoreError> {
    let until = match usage {
        KeyUse::Nodes => from.saturating_add(NODE_KEYS_STAY),
        KeyUse::Tokens => {
            let last = sqlx::query("SELECT MAX(expires_at) AS last FROM delegated_tokens");
            let row = change.row(last).await?;
            let last: Option<i64> = row
                .map(|row| row.try_get("last"))
                .transpose()
                .map_err(told)?
                .flatten();
            last.unwrap_or(from).max(from)
        }
    };
    let statement = sqlx::query("UPDATE keys SET retired_at = $1, verifies_until = $2 WHERE kid = $3");
    change
        .execute(statement.bind(from).bind(until).bind(kid))
        .await
        .map(|_| ())
}

fn broken() -> StoreError {
    StoreError::Unavailable("a key could not be made or read".to_owned())
}

/// In hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| {
        pairs
            .map(|pair| pair.iter().fold(0, |sum, digit| sum * 16 + digit))
            .collect()
    })
}

#[cfg(test)]
pub(crate) mod tests;
