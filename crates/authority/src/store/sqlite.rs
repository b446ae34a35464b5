//! A SQLite file: for nobody else to read, from its first moment, and the same one all the time.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::StoreError;

/// What the file may be for others: nothing.
const OTHERS: u32 = 0o077;

/// A file that is ours alone.
#[derive(Debug)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
    /// Device and number: another file at the same path has others.
    identity: (u64, u64),
}

impl DatabaseFile {
    /// Makes it if there is none. It is never opened here when it exists: closing a file ends the locks that SQLite in the
    /// same process has on it.
    pub(super) fn open(path: &str) -> Result<Self, StoreError> {
        if path.is_empty() || path == ":memory:" || path.contains(['?', '\0']) {
            return Err(StoreError::Invalid(format!(
                "sqlite:{path} is not the path of a file; a store in memory would forget what was revoked"
            )));
        }
        let path = absolute(Path::new(path))?;
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made {
            // The entry in the folder must be on disk before anything in the file is acknowledged.
            Ok(_) => path
                .parent()
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
                .map_err(|error| unusable(&path, &error.to_string()))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(&path, &error.to_string())),
        }
        let identity = identity(&private(&path)?);
        // What an earlier process left there; SQLite gives new ones the mode of the file itself.
        for more in ["-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(more);
            let name = PathBuf::from(name);
            if name.exists() {
                private(&name)?;
            }
        }
        Ok(Self { path, identity })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For SQLite: everything but the plainest characters is escaped, and nothing is made.
    pub(super) fn url(&self) -> String {
        let mut url = "sqlite://".to_owned();
        for &byte in self.path.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' => url.push(char::from(byte)),
                other => url.push_str(&format!("%{other:02X}")),
            }
        }
        url + "?mode=rw"
    }

    pub(super) fn still_there(&self) -> Result<(), StoreError> {
        if identity(&private(&self.path)?) == self.identity {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "{} was replaced while it was in use; start again to use the new one",
            self.path.display()
        )))
    }

    /// A connection of its own, after a look at the whole file: what is damaged is said now and not when it is needed.
    pub(super) async fn checked(&self, statement_timeout: Duration) -> Result<SqliteConnection, StoreError> {
        let damaged = |why: String| {
            StoreError::Invalid(format!(
                "{} is damaged or no database ({why}); restore it from a backup, or move it away: then all that was \
                 revoked counts again",
                self.path.display()
            ))
        };
        let failed = |error: sqlx::Error| match &error {
            // SQLITE_CORRUPT and SQLITE_NOTADB, with their extended codes.
            sqlx::Error::Database(known) if known.code().is_some_and(|code| is_damage(&code)) => {
                damaged(known.message().to_owned())
            }
            _ => unusable(&self.path, &error.to_string()),
        };
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(statement_timeout)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(failed)?;
        let found = sqlx::query("PRAGMA quick_check(3)")
            .fetch_all(&mut connection)
            .await;
        let found: Vec<String> = found
            .map_err(failed)?
            .iter()
            .map(|row| row.try_get(0).unwrap_or_default())
            .collect();
        if found != ["ok"] {
            return Err(damaged(found.join("; ")));
        }
        let mode = sqlx::query("PRAGMA journal_mode = WAL")
            .fetch_one(&mut connection)
            .await;
        let mode: String = mode.and_then(|row| row.try_get(0)).map_err(failed)?;
        if mode != "wal" {
            let _ = connection.close().await;
            return Err(unusable(
                &self.path,
                "its file system has no write-ahead log for SQLite; use a local disk",
            ));
        }
        Ok(connection)
    }
}

/// What every connection begins with. FULL: what is committed is on disk.
pub(super) fn prepare(statement_timeout: Duration) -> String {
    let wait = statement_timeout.as_millis();
    format!(
        "PRAGMA busy_timeout = {wait}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
    )
}

fn is_damage(code: &str) -> bool {
    code.parse().is_ok_and(|code: u32| matches!(code & 0xff, 11 | 26))
}

/// Without symbolic links and dots in the folder, which a URL would lose.
fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error: std::io::Error| unusable(path, &error.to_string());
    let full = std::path::absolute(path).map_err(failed)?;
    let (Some(folder), Some(name)) = (full.parent(), full.file_name()) else {
        return Err(unusable(path, "it is no file"));
    };
    Ok(fs::canonicalize(folder).map_err(failed)?.join(name))
}

fn private(path: &Path) -> Result<Metadata, StoreError> {
    let data = fs::metadata(path).map_err(|error| unusable(path, &error.to_string()))?;
    if !data.is_file() {
        return Err(unusable(path, "it is no file"));
    }
    if data.mode() & OTHERS != 0 {
        let mode = data.mode() & 0o777;
        return Err(StoreError::Invalid(format!(
            "{0} can be read or written by others (mode {mode:04o}); make it yours alone with `chmod 600 {0}`",
            path.display()
        )));
    }
    Ok(data)
}

fn identity(data: &Metadata) -> (u64, u64) {
    (data.dev(), data.ino())
}

fn unusable(path: &Path, why: &str) -> StoreError {
    StoreError::Unavailable(format!("the store {} cannot be used: {why}", path.display()))
}
