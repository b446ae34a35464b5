//! A change of the store: one transaction, one revision, one row of the audit, and the view of it before anybody is told
//! that it was made.

use std::time::Instant;

use sqlx::any::{Any, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::{CHANNEL, Place, Statement, Store, StoreError, bounded, now};
use crate::view::Revision;

/// How many rows of the audit are kept at least, whatever they are about.
pub(crate) const AUDIT_ROWS: i64 = 10_000;
/// For how many seconds what people did is kept besides.
pub(crate) const AUDIT_SECONDS: i64 = 400 * 24 * 3600;
/// What happens without people all day: no flood of it may push out what people did.
const FORGOTTEN: &str = "DELETE FROM audit WHERE revision <= $1 \
     AND (changed_at < $2 OR what IN ('exchange', 'renew', 'prune', 'network_token.give', 'node_token.use'))";

/// A part of what decisions need. What changes none of them needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Revocations,
    NetworkTokens,
    Keys,
}

/// Who does what.
#[derive(Clone, Debug)]
pub(crate) struct Audit<'a> {
    /// As policies know them, or the name of what does it by itself.
    pub(crate) by: &'a str,
    /// The kind of change, such as `revoke`.
    pub(crate) what: &'static str,
    /// What it is about, such as `main/token/4711`.
    pub(crate) object: &'a str,
    /// More about it; no secrets.
    pub(crate) details: Option<String>,
}

/// A change that was begun. Dropped without [`Change::commit`], nothing happened.
///
/// Changes wait for each other, on all replicas: each locks the one row of `revision`. So they are short.
#[derive(Debug)]
pub(crate) struct Change {
    store: Store,
    connection: PoolConnection<Any>,
    revision: Revision,
    kept: bool,
}

impl Store {
    /// Begins a change of those parts.
    pub(crate) async fn change(&self, audit: Audit<'_>, parts: &[Part]) -> Result<Change, StoreError> {
        let connection = self.connection().await?;
        let mut change = Change {
            store: self.clone(),
            connection,
            revision: Revision::default(),
            kept: false,
        };
        let begin = match self.place() {
            // With the lock for writing at once: asking for it later fails when somebody else has written.
            Place::File(_) => "BEGIN IMMEDIATE",
            Place::Server(_) => "BEGIN",
        };
        change.execute(sqlx::query(begin)).await?;
        let column = |part: Part| {
            if parts.contains(&part) {
                "number + 1"
            } else {
                part.column()
            }
        };
        let next = format!(
            "UPDATE revision SET number = number + 1, mark = $1, revocations = {}, network_tokens = {}, keys = {} \
             WHERE id = 1 RETURNING number, revocations, network_tokens, keys",
            column(Part::Revocations),
            column(Part::NetworkTokens),
            column(Part::Keys),
        );
        let mark = Uuid::new_v4().to_string();
        let next = sqlx::query(AssertSqlSafe(next)).bind(mark.as_str());
        let row = change.row(next).await?;
        let row = row.ok_or_else(|| StoreError::Unavailable("the store has lost its revision".to_owned()))?;
        let number = |name: &str| row.try_get::<i64, _>(name).map_err(super::told);
        change.revision = Revision {
            number: number("number")?,
            mark,
            revocations: number("revocations")?,
            network_tokens: number("network_tokens")?,
            keys: number("keys")?,
        };
        change.still_knows_what_we_saw().await?;
        let Audit {
            by,
            what,
            object,
            details,
        } = audit;
        let row = sqlx::query(
            "INSERT INTO audit (revision, mark, changed_at, changed_by, what, object, details) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(change.revision.number)
        .bind(change.revision.mark.clone())
        .bind(now())
        .bind(by)
        .bind(what)
        .bind(object)
        .bind(details);
        change.execute(row).await?;
        let old = sqlx::query(FORGOTTEN).bind(change.revision.number - AUDIT_ROWS);
        change.execute(old.bind(now() - AUDIT_SECONDS)).await?;
        Ok(change)
    }
}

impl Change {
    /// Runs a statement; the number of rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let time = self.store.settings().timing.statement;
        let done = statement.persistent(false).execute(&mut *self.connection);
        Ok(bounded(time, done).await?.rows_affected())
    }

    /// All rows of a statement.
    pub(crate) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<AnyRow>, StoreError> {
        let time = self.store.settings().timing.statement;
        bounded(time, statement.persistent(false).fetch_all(&mut *self.connection)).await
    }

    /// The only row of a statement, or none.
    pub(crate) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<AnyRow>, StoreError> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Keeps it, and puts it in force here. When this returns, it survives whatever happens to this process, decisions of
    /// this replica obey it, and other replicas are told.
    ///
    /// # Errors
    /// It was not kept; or, if the store stopped answering in that moment, nobody knows.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        // Loaded first: afterwards nothing can fail between what is kept and what is in force.
        let (view, time) = (self.store.view(), self.store.settings().timing.statement);
        let contents = view.load(&mut self.connection, &self.revision, time).await?;
        if let Place::Server(_) = self.store.place() {
            let number = self.revision.number.to_string();
            let tell = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(number);
            self.execute(tell).await?;
        }
        let newest_at = Instant::now();
        self.execute(sqlx::query("COMMIT")).await.map_err(|error| {
            StoreError::Unavailable(format!(
                "{error}; whether the change was kept is not known, look before trying again"
            ))
        })?;
        self.kept = true;
        self.store
            .view()
            .publish(self.revision.clone(), contents, newest_at);
        Ok(())
    }

    /// Refuses a store that has lost changes which this replica has seen: what it would acknowledge could not be put in force.
    async fn still_knows_what_we_saw(&mut self) -> Result<(), StoreError> {
        let Some(seen) = self.store.view().seen() else {
            return Ok(());
        };
        let before = self.revision.number - 1;
        let rows = self.rows(sqlx::query(Revision::MARK).bind(seen.number)).await?;
        seen.is_in_history(before, rows.first())
    }
}

impl Part {
    fn column(self) -> &'static str {
        match self {
            Self::Revocations => "revocations",
            Self::NetworkTokens => "network_tokens",
            Self::Keys => "keys",
        }
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.kept {
            // Ends the transaction, and what is left of a statement that was not waited for.
            self.connection.close_on_drop();
        }
    }
}
