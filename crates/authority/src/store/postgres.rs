//! A PostgreSQL server: over TLS unless it is on this host, and with limits of its own on every session.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};

use super::{StoreError, bounded, told};

/// What replicas tell each other about changes on.
pub(crate) const CHANNEL: &str = "portcullis_changed";

/// The parameters of an address; others are mistakes.
const PARAMETERS: [&str; 11] = [
    "application_name",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// A server. There is a password in it.
pub(crate) struct Server {
    /// As configured, with `sslmode`.
    url: String,
    options: PgConnectOptions,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Server {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (_, parameters) = url.split_once('?').unwrap_or((url, ""));
        let names = parameters.split('&').filter(|parameter| !parameter.is_empty());
        let names: Vec<&str> = names
            .map(|it| it.split_once('=').map_or(it, |(name, _)| name))
            .collect();
        if let Some(unknown) = names.iter().find(|name| !PARAMETERS.contains(name)) {
            return Err(StoreError::Invalid(format!(
                "the address of the store has the parameter `{unknown}`; there are: {}",
                PARAMETERS.join(", ")
            )));
        }
        let options = |url: &str| -> Result<PgConnectOptions, StoreError> {
            // The text of the error may quote the address, which has a password in it.
            url.parse()
                .map_err(|_| StoreError::Invalid("the address of the store cannot be read".to_owned()))
        };
        let mut url = url.to_owned();
        let mut parsed = options(&url)?;
        if !names.contains(&"sslmode") {
            let mode = if is_here(&parsed) {
                "disable"
            } else {
                "verify-full"
            };
            let joint = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{joint}sslmode={mode}");
            parsed = options(&url)?;
        }
        if matches!(parsed.get_ssl_mode(), PgSslMode::Allow | PgSslMode::Prefer) {
            return Err(StoreError::Invalid(
                "the address of the store has an `sslmode` with which anybody in between can turn TLS off; say \
                 verify-full, verify-ca, require or disable"
                    .to_owned(),
            ));
        }
        Ok(Self {
            url,
            options: parsed.disable_statement_logging(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What people know it by.
    pub(super) fn name(&self) -> String {
        match self.options.get_socket() {
            Some(folder) => format!("PostgreSQL at {}", folder.display()),
            None => format!(
                "PostgreSQL at {}:{}",
                self.options.get_host(),
                self.options.get_port()
            ),
        }
    }

    /// A connection of its own. Refusals that will not go away by themselves are [`StoreError::Invalid`].
    pub(super) async fn connect(&self, time: Duration) -> Result<PgConnection, StoreError> {
        let connected = tokio::time::timeout(time, self.options.connect()).await;
        let name = self.name();
        match connected {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(sqlx::Error::Database(error))) if is_lasting(error.code().as_deref()) => Err(
                StoreError::Invalid(format!("{name} refuses: {}", error.message())),
            ),
            Ok(Err(error)) => Err(StoreError::Unavailable(format!("{name}: {error}"))),
            Err(_) => Err(StoreError::Unavailable(format!(
                "no connection to {name} within {} ms",
                time.as_millis()
            ))),
        }
    }

    /// A connection that is told of changes, and on which to ask.
    pub(crate) async fn listen(
        &self,
        time: Duration,
        statement_timeout: Duration,
    ) -> Result<PgListener, StoreError> {
        // First by hand, because a pool would not say why it cannot.
        let _ = self.connect(time).await?.close().await;
        let prepare = prepare(statement_timeout);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(time)
            .after_connect(move |connection, _| {
                let prepare = prepare.clone();
                Box::pin(async move {
                    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await.map_err(told)?;
        listener.eager_reconnect(false);
        bounded(statement_timeout, listener.listen(CHANNEL)).await?;
        Ok(listener)
    }
}

/// What every session begins with: a replica that is cut off holds no lock for long, and what is committed is on disk.
pub(super) fn prepare(statement_timeout: Duration) -> String {
    let time = statement_timeout.as_millis();
    format!(
        "SET statement_timeout = {time}; SET lock_timeout = {time}; \
         SET idle_in_transaction_session_timeout = {time}; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';"
    )
}

/// On this host: over a socket, or over the loopback interface.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    options.get_socket().is_some() || host == "localhost" || address.is_some_and(|it| it.is_loopback())
}

/// Wrong user, password, role, database: SQLSTATE classes 28 and 3D, and 42501.
fn is_lasting(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("28") || code.starts_with("3D") || code == "42501")
}
