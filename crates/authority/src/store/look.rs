//! A look at a PostgreSQL server by the eyes of the store, for people: nothing is made there, and nothing changed.

use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, Row as _};

use super::{Place, Store, StoreError, bounded, told};
use crate::settings::StoreSettings;

/// What is to be known of a PostgreSQL server before the store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLook {
    /// What people know it by: where it is, without user and password.
    pub name: String,
    /// Its version.
    pub version: String,
    /// As whom one is let in.
    pub user: String,
    /// It takes no changes: it is a standby, or for reading only.
    pub takes_no_changes: bool,
    /// Whether tables can be made in the first schema of the search path, as each start of a server wants to.
    pub can_make_tables: bool,
    /// Whether the store's tables can be read and written; `None` if they are not there yet.
    pub can_write_tables: Option<bool>,
}

/// The table that is written with every change stands for all.
const QUESTION: &str = "
    SELECT current_setting('server_version') AS version,
           current_user::text AS who,
           current_setting('transaction_read_only') = 'on' AS takes_no_changes,
           coalesce(has_schema_privilege(current_schema()::text, 'CREATE'), false) AS can_make,
           (SELECT bool_and(has_table_privilege(tables.oid, kind))
              FROM pg_class AS tables, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS kind
             WHERE tables.oid = to_regclass('revision')) AS can_write";

impl Store {
    /// Connects to the PostgreSQL server of these settings as [`Store::open`] would; `None` where the store is a file.
    ///
    /// # Errors
    /// As [`Store::open`], and [`StoreError::Unavailable`] for a server that does not answer.
    pub async fn look_at_server(settings: &StoreSettings) -> Result<Option<ServerLook>, StoreError> {
        if settings.store.expose_secret().starts_with("sqlite:") {
            return Ok(None);
        }
        let Place::Server(server) = Place::parse(&settings.store)? else {
            return Ok(None);
        };
        let mut connection = server.connect(settings.timing.connect).await?;
        let row = sqlx::query(QUESTION).fetch_one(&mut connection);
        let row = bounded(settings.timing.statement, row).await?;
        let _ = connection.close().await;
        Ok(Some(ServerLook {
            name: server.name(),
            version: row.try_get("version").map_err(told)?,
            user: row.try_get("who").map_err(told)?,
            takes_no_changes: row.try_get("takes_no_changes").map_err(told)?,
            can_make_tables: row.try_get("can_make").map_err(told)?,
            can_write_tables: row.try_get("can_write").map_err(told)?,
        }))
    }
}
