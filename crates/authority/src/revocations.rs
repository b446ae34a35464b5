//! Revocations: what does not count any more, whoever issued it.
//!
//! There is one for each thing: revoking it again widens it. A revocation never wakes a token, whatever it replaces.

use model::{Before, Revoked};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::Authority;
use crate::store::{Audit, Change, Page, Paged, Part, StoreError, now, told};
use crate::view::revoked;

/// How long names may be, in bytes.
const LONGEST_NAME: usize = 1024;
/// How long reasons may be, in bytes.
const LONGEST_REASON: usize = 1024;

/// What is to be revoked.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRevocation {
    /// The short name of the issuer.
    pub issuer: String,
    /// What of it.
    pub what: Revoked,
    /// Which of the credentials; not looked at for a single token.
    pub before: Before,
    /// For people.
    pub reason: Option<String>,
    /// When the credential that is named expires, in Unix seconds. It stays revoked for 400 days after that, and after now: what
    /// that credential was exchanged for lives on. `None`: for ever.
    pub expires_at: Option<i64>,
}

/// What is revoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Revocation {
    /// Its name.
    pub id: String,
    /// The short name of the issuer.
    pub issuer: String,
    /// What of it.
    pub what: Revoked,
    /// Which of the credentials.
    pub before: Before,
    /// For people.
    pub reason: Option<String>,
    /// When, in Unix seconds; the last time, if it was widened.
    pub created_at: i64,
    /// By whom.
    pub created_by: String,
    /// When the credential that is named expires, in Unix seconds; it is removed 400 days after that at the earliest.
    pub expires_at: Option<i64>,
}

impl Authority {
    /// Revokes something. When this returns, decisions of this replica obey it, and it survives whatever happens to this
    /// process.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for names that are empty or too long; [`StoreError::Unavailable`].
    pub async fn revoke(&self, by: &str, new: NewRevocation) -> Result<Revocation, StoreError> {
        new.check()?;
        let chain = self.chain_of(&new).await?;
        let object = new.object();
        let audit = Audit {
            by,
            what: "revoke",
            object: &object,
            details: new.reason.clone(),
        };
        let mut change = self.store.change(audit, &[Part::Revocations]).await?;
        let revocation = new.put(&mut change, by, None).await?;
        if let Some(chain) = chain {
            chain.put(&mut change, by, Some(&revocation.id)).await?;
        }
        change.commit().await?;
        Ok(revocation)
    }

    /// Takes a revocation back, and what was revoked along with it: credentials that it was about count again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn lift(&self, by: &str, id: &str) -> Result<(), StoreError> {
        let audit = Audit {
            by,
            what: "lift",
            object: id,
            details: None,
        };
        let mut change = self.store.change(audit, &[Part::Revocations]).await?;
        let lifted = change
            .execute(sqlx::query("DELETE FROM revocations WHERE id = $1 OR because = $1").bind(id))
            .await?;
        if lifted == 0 {
            return Err(StoreError::NotFound);
        }
        change.commit().await
    }

    /// One revocation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn revocation(&self, id: &str) -> Result<Revocation, StoreError> {
        let statement = sqlx::query(
            "SELECT id, issuer, kind, name, issued_before, reason, created_at, created_by, expires_at \
             FROM revocations WHERE id = $1",
        );
        let rows = self.store.rows(statement.bind(id)).await?;
        rows.first().map_or(Err(StoreError::NotFound), Revocation::read)
    }

    /// What is revoked, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn revocations(&self, page: &Page) -> Result<Paged<Revocation>, StoreError> {
        let statement = sqlx::query(
            "SELECT id, issuer, kind, name, issued_before, reason, created_at, created_by, expires_at \
             FROM revocations WHERE id > $1 ORDER BY id LIMIT $2",
        );
        let after = page.after.clone().unwrap_or_default();
        let rows = self.store.rows(statement.bind(after).bind(page.rows())).await?;
        let items: Result<Vec<_>, _> = rows.iter().map(Revocation::read).collect();
        Ok(page.cut(items?, |revocation| &revocation.id))
    }
}

impl NewRevocation {
    fn check(&self) -> Result<(), StoreError> {
        let invalid = |what: &str| Err(StoreError::Invalid(what.to_owned()));
        for (what, text) in [
            ("the issuer", self.issuer.as_str()),
            ("the name", name(&self.what)),
        ] {
            let needed = what == "the issuer" || self.what != Revoked::Issuer;
            if (needed && text.is_empty()) || text.len() > LONGEST_NAME || text.contains('\0') {
                return invalid(&format!("{what} must have 1 to {LONGEST_NAME} bytes and no NUL"));
            }
        }
        let reason = self.reason.as_deref().unwrap_or_default();
        if reason.len() > LONGEST_REASON || reason.contains('\0') {
            return invalid(&format!(
                "the reason must have {LONGEST_REASON} bytes at most and no NUL"
            ));
        }
        match self.before {
            Before::Time(time) if !time.is_finite() => invalid("the time must be a number"),
            _ => Ok(()),
        }
    }

    /// Writes it down, or widens what is written down of the same thing; `because`: the revocation that brings it along.
    async fn put(
        self,
        change: &mut Change,
        by: &str,
        because: Option<&str>,
    ) -> Result<Revocation, StoreError> {
        let (kind, name) = (self.what.as_str(), name(&self.what).to_owned());
        let known = sqlx::query(
            "SELECT id, issuer, kind, name, issued_before, reason, created_at, created_by, expires_at, because \
             FROM revocations WHERE issuer = $1 AND kind = $2 AND name = $3",
        );
        let known = known.bind(self.issuer.as_str()).bind(kind).bind(name.as_str());
        let row = change.row(known).await?;
        let known = row.as_ref().map(Revocation::read).transpose()?;
        // One that was made for another reason is taken back by itself only.
        let made_with: Option<String> = match &row {
            None => because.map(str::to_owned),
            Some(row) => row.try_get("because").map_err(told)?,
        };
        let because = because.filter(|id| made_with.as_deref() == Some(*id));
        let revocation = self.widening(known.as_ref(), by);
        let before = match revocation.before {
            Before::Ever => None,
            Before::Time(time) => Some(time),
        };
        let statement = match known {
            None => {
                "INSERT INTO revocations \
                 (id, issued_before, reason, created_at, created_by, expires_at, issuer, kind, name, because) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
            }
            Some(_) => {
                "UPDATE revocations \
                 SET issued_before = $2, reason = $3, created_at = $4, created_by = $5, expires_at = $6, because = $10 \
                 WHERE id = $1 AND issuer = $7 AND kind = $8 AND name = $9"
            }
        };
        let statement = sqlx::query(statement)
            .bind(revocation.id.as_str())
            .bind(before)
            .bind(revocation.reason.clone())
            .bind(revocation.created_at)
            .bind(by)
            .bind(revocation.expires_at)
            .bind(revocation.issuer.as_str())
            .bind(kind)
            .bind(name.as_str())
            .bind(because);
        change.execute(statement).await?;
        Ok(revocation)
    }

    /// For the audit.
    fn object(&self) -> String {
        match &self.what {
            Revoked::Issuer => format!("{}/issuer", self.issuer),
            what => format!("{}/{}/{}", self.issuer, what.as_str(), name(what)),
        }
    }

    /// With what was revoked of the same thing before.
    fn widening(self, known: Option<&Revocation>, by: &str) -> Revocation {
        let (mut before, mut expires_at) = (self.before, self.expires_at);
        if matches!(self.what, Revoked::Token(_)) {
            before = Before::Ever;
        }
        if let Some(known) = known {
            before = before.or_later(known.before);
            expires_at = expires_at
                .zip(known.expires_at)
                .map(|(one, other)| one.max(other));
        }
        Revocation {
            id: known.map_or_else(|| Uuid::now_v7().to_string(), |known| known.id.clone()),
            issuer: self.issuer,
            what: self.what,
            before,
            reason: self.reason,
            created_at: now(),
            created_by: by.to_owned(),
            expires_at,
        }
    }
}

impl Revocation {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let read = || {
            let kind: String = row.try_get("kind")?;
            let before: Option<f64> = row.try_get("issued_before")?;
            let what = revoked(&kind, row.try_get("name")?)
                .ok_or_else(|| sqlx::Error::Decode("a revocation of an unknown kind".into()))?;
            Ok(Self {
                id: row.try_get("id")?,
                issuer: row.try_get("issuer")?,
                what,
                before: before.map_or(Before::Ever, Before::Time),
                reason: row.try_get("reason")?,
                created_at: row.try_get("created_at")?,
                created_by: row.try_get("created_by")?,
                expires_at: row.try_get("expires_at")?,
            })
        };
        read().map_err(told)
    }
}

fn name(what: &Revoked) -> &str {
    match what {
        Revoked::Token(name) | Revoked::Subject(name) | Revoked::Client(name) => name,
        Revoked::Issuer => "",
    }
}
