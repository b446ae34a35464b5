//! The store: one schema, in a SQLite file for one host or in PostgreSQL for several replicas.
//!
//! Every change is one transaction with a new revision and a row of the audit in it ([`change`]); it is acknowledged after
//! the commit, when it is in force on this replica. A connection on which anything failed is never used again.

mod change;
mod error;
mod look;
mod migrate;
mod place;
mod postgres;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{Any, AnyArguments, AnyPoolOptions, AnyRow};
use sqlx::pool::{Pool, PoolConnection};
use sqlx::query::Query;
use tokio::sync::OnceCell;

use crate::Publish;
use crate::settings::StoreSettings;
use crate::view::{Status, View};

pub(crate) use change::{AUDIT_ROWS, Audit, Change, Part};
pub use error::StoreError;
pub(crate) use error::{STANDBY, bounded, told};
pub use look::ServerLook;
pub(crate) use place::Place;
pub(crate) use postgres::CHANNEL;

/// A statement with its arguments.
pub(crate) type Statement<'q> = Query<'q, Any, AnyArguments>;

/// How many connections for changes and for what administrators ask. Changes wait for each other anyway.
const CONNECTIONS: u32 = 4;

/// Where all is kept. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    settings: StoreSettings,
    pool: Pool<Any>,
    migrated: OnceCell<()>,
    /// Nothing is changed there.
    only_read: bool,
    view: View,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only what comes after the entry with this name.
    pub after: Option<String>,
    /// How many, 1 to 1000.
    pub limit: u32,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    /// In the order of their names.
    pub items: Vec<T>,
    /// What to say in [`Page::after`] for what comes next; `None` if nothing does.
    pub next: Option<String>,
}

impl Store {
    /// Opens it, makes the file or the tables if need be, and publishes what is in it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]: an address, a file or a database that cannot be used, and what to do about it.
    /// [`StoreError::Unavailable`]: a file that cannot be read. A PostgreSQL that does not answer is no error, for it may
    /// come later; until then nothing is published.
    pub async fn open(settings: &StoreSettings, publish: Publish) -> Result<Self, StoreError> {
        Self::begin(settings, publish, false).await
    }

    /// Publishes what is in it, once, and changes nothing there.
    ///
    /// # Errors
    /// As [`Store::open`]. [`StoreError::Invalid`]: its tables are not those of this version, or not there.
    pub async fn read(settings: &StoreSettings, publish: Publish) -> Result<Self, StoreError> {
        Self::begin(settings, publish, true).await
    }

    async fn begin(settings: &StoreSettings, publish: Publish, only_read: bool) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let place = Place::parse(&settings.store)?;
        let view = View::new(publish, Duration::from_secs(settings.max_stale_seconds));
        let store = Self(Arc::new(Inner {
            pool: pool(&place, settings)?,
            place,
            settings: settings.clone(),
            migrated: OnceCell::new(),
            only_read,
            view,
        }));
        let first = match store.ready().await {
            Ok(()) => store.look().await,
            Err(problem) => Err(problem),
        };
        match first {
            Err(StoreError::Unavailable(why)) if !store.0.place.is_file() && !only_read => {
                tracing::warn!(%why, "the store cannot be reached; all credentials are denied until it is");
                store.view().lost(why);
                Ok(store)
            }
            first => first.map(|()| store),
        }
    }

    /// How it does.
    pub fn status(&self) -> Status {
        self.view().status(self.0.place.backend())
    }

    /// All rows of a statement that changes nothing.
    pub(crate) async fn rows(&self, statement: Statement<'_>) -> Result<Vec<AnyRow>, StoreError> {
        let mut connection = self.connection().await?;
        let rows = statement.persistent(false).fetch_all(&mut *connection);
        let rows = bounded(self.settings().timing.statement, rows).await;
        if rows.is_err() {
            connection.close_on_drop();
        }
        rows
    }

    pub(crate) fn view(&self) -> &View {
        &self.0.view
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn settings(&self) -> &StoreSettings {
        &self.0.settings
    }

    /// One of the connections, with the tables there.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Any>, StoreError> {
        self.0.place.still_there()?;
        self.ready().await?;
        self.0.pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => self.0.place.no_connection(self.settings().timing.connect),
            error => told(error),
        })
    }

    /// Makes the tables, once.
    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        if self.0.only_read {
            let are_there = || migrate::are_there(&self.0.pool);
            return self.0.migrated.get_or_try_init(are_there).await.copied();
        }
        let migrated = || migrate::migrate(&self.0.place, &self.0.settings);
        self.0.migrated.get_or_try_init(migrated).await?;
        Ok(())
    }
}

fn pool(place: &Place, settings: &StoreSettings) -> Result<Pool<Any>, StoreError> {
    let statement_timeout = settings.timing.statement;
    let ping_timeout = settings.timing.connect / 3;
    let options = AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(settings.timing.connect)
        .test_before_acquire(false)
        // A connection through a network that swallows everything must not use up the time for a new one.
        .before_acquire(move |connection, _| {
            Box::pin(async move {
                let ping = sqlx::Connection::ping(connection);
                let answered = tokio::time::timeout(ping_timeout, ping).await;
                answered.map_err(|_| sqlx::Error::PoolTimedOut)??;
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let prepare = match connection.backend_name() {
                    "SQLite" => sqlite::prepare(statement_timeout),
                    _ => postgres::prepare(statement_timeout),
                };
                sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        });
    Ok(options.connect_lazy_with(place.options()?))
}

impl Page {
    /// How many rows to ask for: one more than wanted, to see whether there are more.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit.clamp(1, 1000)) + 1
    }

    /// The part of a list that was wanted, of rows that [`Page::rows`] limits; `name` is what they are sorted by.
    pub(crate) fn cut<T>(&self, mut items: Vec<T>, name: impl Fn(&T) -> &str) -> Paged<T> {
        let wanted = usize::try_from(self.rows() - 1).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        let last = items.last().filter(|_| more);
        Paged {
            next: last.map(|last| name(last).to_owned()),
            items,
        }
    }
}

/// The time of this host in Unix seconds.
pub(crate) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now: Duration| {
        i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests;
