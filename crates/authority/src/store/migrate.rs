//! The tables, made and kept up to date by the program itself.

use sqlx::any::Any;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, Pool};

use super::{Place, StoreError};
use crate::settings::StoreSettings;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Makes what is missing. Several processes may do it at once.
pub(super) async fn migrate(place: &Place, settings: &StoreSettings) -> Result<(), StoreError> {
    match place {
        Place::File(file) => {
            let mut connection = file.checked(settings.timing.statement).await?;
            let mut done = MIGRATIONS.run_direct(None, &mut connection, false).await;
            if let Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) = done {
                // Another process was quicker; then there is nothing left to do.
                done = MIGRATIONS.run_direct(None, &mut connection, false).await;
            }
            let _ = connection.close().await;
            done.map_err(failed)
        }
        Place::Server(server) => {
            let mut connection = server.connect(settings.timing.connect).await?;
            // Whoever is first has a lock meanwhile, for longer than a statement may take.
            let time = settings.timing.statement * 4;
            let done = tokio::time::timeout(time, MIGRATIONS.run_direct(None, &mut connection, false)).await;
            let done = done.map_err(|_| {
                let time = time.as_millis();
                StoreError::Unavailable(format!(
                    "the tables of the store could not be made within {time} ms"
                ))
            })?;
            let _ = connection.close().await;
            done.map_err(failed)
        }
    }
}

/// Looks whether the tables are those of this version.
pub(super) async fn are_there(pool: &Pool<Any>) -> Result<(), StoreError> {
    let made = sqlx::query_scalar::<_, i64>("SELECT max(version) FROM _sqlx_migrations")
        .persistent(false)
        .fetch_one(pool);
    let wanted = MIGRATIONS.iter().map(|migration| migration.version).max();
    match made.await {
        Ok(made) if Some(made) == wanted => Ok(()),
        Err(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => {
            Err(StoreError::Unavailable("it does not answer".to_owned()))
        }
        Ok(_) | Err(_) => Err(StoreError::Invalid(
            "the store's tables are not those of this version: a server of this version makes them when it starts".to_owned(),
        )),
    }
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(_)
        | MigrateError::VersionMismatch(_)
        | MigrateError::VersionTooNew(..) => StoreError::Invalid(format!(
            "the store was made by another version of this program ({error}); use that one or a newer one"
        )),
        MigrateError::Execute(error) => super::told(error),
        error => StoreError::Unavailable(format!("the tables of the store cannot be made: {error}")),
    }
}
