//! From the tables to a view: only the parts that changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use model::{Before, HouseKey, HouseView, LocalUser, NetworkToken, Revocations, Revoked};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Error, Row};

use super::{Revision, View};
use crate::store::{StoreError, bounded};

/// How many times longer than a statement the reading of all may take.
const ALL: u32 = 6;

impl View {
    /// The contents of that revision, which is what the transaction of this connection sees. Parts that are in force already
    /// are not read again; the revision in force must be in the history of this one.
    pub(crate) async fn load(
        &self,
        connection: &mut AnyConnection,
        revision: &Revision,
        statement_timeout: Duration,
    ) -> Result<HouseView, StoreError> {
        let (seen, mut view) = self.contents();
        let seen = seen.as_ref();
        let work = async {
            if seen.is_none_or(|seen| seen.revocations != revision.revocations) {
                view.revocations = Arc::new(revocations(connection).await?);
            }
            if seen.is_none_or(|seen| seen.network_tokens != revision.network_tokens) {
                view.network_tokens = Arc::new(network_tokens(connection).await?);
            }
            if seen.is_none_or(|seen| seen.keys != revision.keys) {
                view.keys = keys(connection).await?;
            }
            Ok(())
        };
        bounded(statement_timeout * ALL, work).await?;
        view.revision = u64::try_from(revision.number).unwrap_or_default();
        Ok(view)
    }
}

async fn revocations(connection: &mut AnyConnection) -> Result<Revocations, Error> {
    let mut found = Revocations::default();
    let mut rows = sqlx::query("SELECT issuer, kind, name, issued_before FROM revocations")
        .persistent(false)
        .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let name: String = row.try_get("name")?;
        let kind: String = row.try_get("kind")?;
        let before: Option<f64> = row.try_get("issued_before")?;
        let what = revoked(&kind, name).ok_or_else(|| unreadable("a revocation of an unknown kind"))?;
        found.add(
            &row.try_get::<String, _>("issuer")?,
            what,
            before.map_or(Before::Ever, Before::Time),
        );
    }
    Ok(found)
}

async fn network_tokens(connection: &mut AnyConnection) -> Result<HashMap<[u8; 32], NetworkToken>, Error> {
    let mut found = HashMap::new();
    let mut rows = sqlx::query(
        "SELECT t.digest, t.created_at, t.expires_at, u.node, u.remote_user, u.local_issuer, u.local_subject \
         FROM network_tokens t JOIN remote_users u ON u.id = t.remote_user",
    )
    .persistent(false)
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let digest: String = row.try_get("digest")?;
        let digest = bytes(&digest).ok_or_else(|| unreadable("a network token without its digest"))?;
        found.insert(digest, network_token(&row)?);
    }
    Ok(found)
}

fn network_token(row: &AnyRow) -> Result<NetworkToken, Error> {
    let local: (Option<String>, Option<String>) =
        (row.try_get("local_issuer")?, row.try_get("local_subject")?);
    let local_user = match local {
        (Some(issuer), Some(subject)) => Some(LocalUser { issuer, subject }),
        _ => None,
    };
    Ok(NetworkToken {
        node: row.try_get("node")?,
        remote_user: row.try_get("remote_user")?,
        local_user,
        issued_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

async fn keys(connection: &mut AnyConnection) -> Result<Arc<[HouseKey]>, Error> {
    let rows = sqlx::query(
        "SELECT kid, public_key FROM keys WHERE purpose = 'delegation' ORDER BY created_at DESC, kid",
    )
    .persistent(false)
    .fetch_all(connection)
    .await?;
    let key = |row: &AnyRow| {
        let public: String = row.try_get("public_key")?;
        Ok(HouseKey {
            kid: row.try_get("kid")?,
            public: bytes(&public).ok_or_else(|| unreadable("a key that is none"))?,
        })
    };
    rows.iter().map(key).collect()
}

/// What a row of `revocations` is about.
pub(crate) fn revoked(kind: &str, name: String) -> Option<Revoked> {
    Some(match kind {
        "token" => Revoked::Token(name),
        "subject" => Revoked::Subject(name),
        "client" => Revoked::Client(name),
        "issuer" => Revoked::Issuer,
        _ => return None,
    })
}

fn unreadable(what: &str) -> Error {
    Error::Decode(format!("the store has {what}").into())
}

/// 32 bytes from lower-case hexadecimal.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
