//! The task that keeps the view up to date: it looks at the store when it is told of a change and once in a while, and
//! connects again when the store went away.

use std::time::{Duration, Instant};

use sqlx::Postgres;
use sqlx::postgres::PgListener;
use tokio::time::{sleep, timeout};

use super::Revision;
use super::revision::RevisionRow;
use crate::prune::Pruning;
use crate::store::{Place, Statement, Store, StoreError, bounded};

/// How long to wait after the first failed look; doubled with each, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Never ends; to be aborted.
pub(crate) async fn watch(store: Store) {
    let mut listener = None;
    let mut wait = SHORTEST;
    let mut pruning = Pruning::new();
    loop {
        match look_and_wait(&store, &mut listener).await {
            Ok(()) => wait = SHORTEST,
            Err(problem) => {
                listener = None;
                let status = store.status();
                if status.connected {
                    let age = status.age.unwrap_or_default().as_secs();
                    tracing::error!(why = %problem, age, "the store cannot be read; decisions rely on what was read before");
                }
                store.view().lost(problem.to_string());
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST);
            }
        }
        pruning.when_due(&store).await;
    }
}

/// Looks, and returns when there may be something new.
async fn look_and_wait(store: &Store, listener: &mut Option<PgListener>) -> Result<(), StoreError> {
    let poll = store.settings().timing.poll;
    let was_connected = store.status().connected;
    match store.place() {
        Place::File(_) => {
            store.look().await?;
            said_again(was_connected);
            sleep(poll).await;
        }
        Place::Server(server) => {
            let settings = store.settings();
            store.ready().await?;
            let listener = match listener {
                Some(listener) => listener,
                none => none.insert(
                    server
                        .listen(settings.timing.connect, settings.timing.statement)
                        .await?,
                ),
            };
            // On the connection that listens: so it is known to be alive, and what changed before it listened is seen.
            let asked = Instant::now();
            let row =
                sqlx::query_as::<Postgres, RevisionRow>(Revision::ON_SERVER).fetch_optional(&mut *listener);
            let found = Revision::read(bounded(settings.timing.statement, row).await?)?;
            store.compare(found, asked).await?;
            said_again(was_connected);
            match timeout(poll, listener.try_recv()).await {
                // Told of a change, or nothing happened.
                Ok(Ok(Some(_))) | Err(_) => {}
                Ok(Ok(None)) => {
                    return Err(StoreError::Unavailable(
                        "the server closed the connection".to_owned(),
                    ));
                }
                Ok(Err(error)) => return Err(crate::store::told(error)),
            }
        }
    }
    Ok(())
}

fn said_again(was_connected: bool) {
    if !was_connected {
        tracing::info!("the store can be read again");
    }
}

impl Store {
    /// Looks at the store, and publishes what is new.
    pub(crate) async fn look(&self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let mut connection = self.connection().await?;
        let row = sqlx::query_as::<_, RevisionRow>(self.revision())
            .persistent(false)
            .fetch_optional(&mut *connection);
        let row = bounded(self.settings().timing.statement, row).await;
        if row.is_err() {
            connection.close_on_drop();
        }
        drop(connection);
        self.compare(Revision::read(row?)?, asked).await
    }

    /// Confirms what is in force, or replaces it, by what the store was at after `asked`.
    async fn compare(&self, found: Revision, asked: Instant) -> Result<(), StoreError> {
        if self.view().seen().as_ref() == Some(&found) {
            self.view().confirmed(&found, asked);
            return Ok(());
        }
        self.load_newest().await
    }

    async fn load_newest(&self) -> Result<(), StoreError> {
        let time = self.settings().timing.statement;
        let mut connection = self.connection().await?;
        // Whatever fails below, the transaction ends with the connection.
        connection.close_on_drop();
        let asked = Instant::now();
        // Before the snapshot: whatever is in force by now, the snapshot must have it.
        let seen = self.view().seen();
        let begin = match self.place() {
            Place::File(_) => "BEGIN",
            Place::Server(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        bounded(time, sqlx::query(begin).execute(&mut *connection)).await?;
        let row = sqlx::query_as::<_, RevisionRow>(self.revision())
            .persistent(false)
            .fetch_optional(&mut *connection);
        let found = Revision::read(bounded(time, row).await?)?;
        if let Some(seen) = seen {
            let mark: Statement<'_> = sqlx::query(Revision::MARK).bind(seen.number);
            let rows = bounded(time, mark.persistent(false).fetch_all(&mut *connection)).await?;
            seen.is_in_history(found.number, rows.first())?;
        }
        let contents = self.view().load(&mut connection, &found, time).await?;
        self.view().publish(found, contents, asked);
        Ok(())
    }

    fn revision(&self) -> &'static str {
        match self.place() {
            Place::File(_) => Revision::IN_FILE,
            Place::Server(_) => Revision::ON_SERVER,
        }
    }
}
