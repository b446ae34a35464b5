//! What can go wrong with the store.

use std::future::Future;
use std::time::Duration;

use sqlx::error::ErrorKind;

/// Why something was not done. Nothing of it was done, except where [`StoreError::Unavailable`] says that this is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is one already, or it is in use.
    #[error("there is one already")]
    Conflict,
    /// There is none.
    #[error("there is none")]
    NotFound,
    /// What was asked for cannot be; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// The store cannot be used now; the text says why.
    #[error("{0}")]
    Unavailable(String),
}

/// A copy that lags behind has the same contents for ever, so it confirms nothing and takes nothing.
pub(crate) const STANDBY: &str = "the server is a standby, or takes no changes for another reason; what it has may be old, so \
     the address of the store must lead to the primary";

/// What a database's error means here.
pub(crate) fn told(error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(known) = &error {
        match known.kind() {
            ErrorKind::UniqueViolation => return StoreError::Conflict,
            ErrorKind::ForeignKeyViolation => return StoreError::NotFound,
            ErrorKind::CheckViolation | ErrorKind::NotNullViolation => {
                return StoreError::Invalid("the store does not take such a value".to_owned());
            }
            _ => {}
        }
        // PostgreSQL: read_only_sql_transaction.
        if known.code().as_deref() == Some("25006") {
            return StoreError::Unavailable(STANDBY.to_owned());
        }
        // character_not_in_repertoire, untranslatable_character (NUL in a text).
        if matches!(known.code().as_deref(), Some("22021" | "22P05")) {
            return StoreError::Invalid("a text has a character that the store cannot keep".to_owned());
        }
    }
    StoreError::Unavailable(format!("the store: {error}"))
}

/// The same, for what must not take longer than that.
pub(crate) async fn bounded<T>(
    time: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(time, work).await {
        Ok(done) => done.map_err(told),
        Err(_) => Err(StoreError::Unavailable(format!(
            "the store did not answer within {} ms",
            time.as_millis()
        ))),
    }
}
