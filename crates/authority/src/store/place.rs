//! Where the store is: what the configured address means.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::any::AnyConnectOptions;

use super::StoreError;
use super::postgres::Server;
use super::sqlite::DatabaseFile;

/// Where the store is.
#[derive(Debug)]
pub(crate) enum Place {
    File(DatabaseFile),
    Server(Box<Server>),
}

impl Place {
    /// Reads the address; a file is made if there is none.
    pub(super) fn parse(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return DatabaseFile::open(path).map(Self::File);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Server::parse(url).map(|server| Self::Server(Box::new(server)));
        }
        // Without the address: it may have a password in it.
        Err(StoreError::Invalid(
            "the address of the store must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                .to_owned(),
        ))
    }

    /// The word for it in [`Status`](crate::Status).
    pub(super) fn backend(&self) -> &'static str {
        match self {
            Self::File(_) => "sqlite",
            Self::Server(_) => "postgres",
        }
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// For the pool, which does not log statements.
    pub(super) fn options(&self) -> Result<AnyConnectOptions, StoreError> {
        let url = match self {
            Self::File(file) => file.url(),
            Self::Server(server) => server.url().to_owned(),
        };
        let options: Result<AnyConnectOptions, _> = url.parse();
        options
            .map(ConnectOptions::disable_statement_logging)
            .map_err(|_| StoreError::Invalid("the address of the store cannot be read".to_owned()))
    }

    /// Refuses a file that is not the one that was opened, or that others may read by now.
    pub(super) fn still_there(&self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.still_there(),
            Self::Server(_) => Ok(()),
        }
    }

    /// The error for when there was no connection in that time.
    pub(crate) fn no_connection(&self, time: Duration) -> StoreError {
        let place = match self {
            Self::File(file) => file.path().display().to_string(),
            Self::Server(server) => server.name(),
        };
        StoreError::Unavailable(format!("no connection to {place} within {} ms", time.as_millis()))
    }
}
