//! Which contents of the store are meant, and whether a store has lost some.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::store::{AUDIT_ROWS, STANDBY, StoreError, told};

/// Contents of the store: a number that grows with each change, and a mark that no other change has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) number: i64,
    pub(crate) mark: String,
    /// When the revocations changed last, as a number.
    pub(crate) revocations: i64,
    /// The same for network tokens and who their users are.
    pub(crate) network_tokens: i64,
    /// The same for keys.
    pub(crate) keys: i64,
}

/// The columns of `revision`, and whether the server is only a copy of another one.
pub(crate) type RevisionRow = (i64, String, i64, i64, i64, i32);

impl Revision {
    /// Reads a [`RevisionRow`] from SQLite.
    pub(crate) const IN_FILE: &str =
        "SELECT number, mark, revocations, network_tokens, keys, 0 AS standby FROM revision WHERE id = 1";
    /// The same from PostgreSQL.
    pub(crate) const ON_SERVER: &str = "SELECT number, mark, revocations, network_tokens, keys, \
         CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END AS standby FROM revision WHERE id = 1";
    /// Reads the mark of the change with the number `$1`.
    pub(crate) const MARK: &str = "SELECT mark FROM audit WHERE revision = $1";

    /// The newest contents, unless the server is only a copy of another one.
    pub(crate) fn read(row: Option<RevisionRow>) -> Result<Self, StoreError> {
        let Some((number, mark, revocations, network_tokens, keys, standby)) = row else {
            return Err(StoreError::Unavailable(
                "the store has lost its revision".to_owned(),
            ));
        };
        if standby != 0 {
            return Err(StoreError::Unavailable(STANDBY.to_owned()));
        }
        Ok(Self {
            number,
            mark,
            revocations,
            network_tokens,
            keys,
        })
    }

    /// Refuses a store that is at `number` and whose change with our number has another mark, as that row says, or is not
    /// there: it lost changes, so revocations too.
    pub(crate) fn is_in_history(&self, number: i64, mark: Option<&AnyRow>) -> Result<(), StoreError> {
        // Before the first change there is nothing to lose.
        if self.number == 0 {
            return Ok(());
        }
        let mark: Option<String> = mark.map(|row| row.try_get(0)).transpose().map_err(told)?;
        let forgotten = mark.is_none() && number - self.number >= AUDIT_ROWS;
        if number >= self.number && (forgotten || mark.as_ref() == Some(&self.mark)) {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "the store went back: it is at revision {number} and lacks changes up to revision {} that were made before \
             (a backup, or a standby that had not caught up?); start again to go on without them, after revoking again what \
             was revoked in them",
            self.number
        )))
    }
}
