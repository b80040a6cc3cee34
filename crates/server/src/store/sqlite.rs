//! The SQLite file in the data directory.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::error::StoreError;
use super::{schema, statements};

/// The name of the file in the data directory. While it is open, SQLite keeps two more files beside
/// it, `-wal` and `-shm`.
pub(crate) const FILE: &str = "hearth.db";

/// The time limit for another program, such as a backup, to release the file.
const BUSY_BOUND: Duration = Duration::from_secs(5);

/// Opens or creates the file in `dir`, and migrates its schema.
pub(super) async fn open(dir: &Path) -> Result<SqlitePool, StoreError> {
    let path = dir.join(FILE);
    // SQLite gives its two other files the same mode.
    let mode = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path);
    mode.map_err(|error| StoreError::Open {
        path: path.clone(),
        source: sqlx::Error::Io(error),
    })?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .journal_mode(SqliteJournalMode::Wal)
        // Commits survive any end of this process. A power failure may lose the last commits.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_BOUND)
        .disable_statement_logging();
    // Each connection is a thread, and a SQLite file has one writer at a time.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await;
    let pool = pool.map_err(|source| StoreError::Open { path, source })?;
    schema::migrate_sqlite(&pool).await?;
    Ok(pool)
}

/// Checks that the file in `dir` can be opened, or does not exist.
pub(super) async fn check(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(());
    }
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .read_only(true)
        .immutable(true);
    let opened = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await;
    let pool = opened.map_err(|source| StoreError::Open { path, source })?;
    let last = sqlx::query_scalar(statements::LAST_MIGRATION)
        .fetch_one(&pool)
        .await;
    let last = schema::last_migration(last)?;
    pool.close().await;
    if last <= schema::LAST {
        Ok(())
    } else {
        Err(StoreError::Newer {
            theirs: last,
            ours: schema::LAST,
        })
    }
}

/// Writes a consistent copy of the file in `dir` to `target`.
pub(super) async fn copy(dir: &Path, target: &Path) -> Result<(), StoreError> {
    let path = dir.join(FILE);
    let name = target.to_str().ok_or_else(|| {
        let reason = io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8");
        sqlx::Error::Io(reason)
    })?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .busy_timeout(BUSY_BOUND)
        .disable_statement_logging();
    let connected = options.connect().await;
    let mut connection = connected.map_err(|source| StoreError::Open { path, source })?;
    let copied = sqlx::query(statements::COPY)
        .bind(name.to_owned())
        .execute(&mut connection)
        .await;
    connection.close().await?;
    copied?;
    Ok(())
}
