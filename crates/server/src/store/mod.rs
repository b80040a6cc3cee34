//! Records that outlive the server: sessions and how they ended, executions, profiles, and the
//! pages of scrapes, in a SQLite file in the data directory.
//!
//! Active sessions are in memory, and a response about one waits for no read. Only interactions
//! with a scrape read its record. A session is recorded before
//! the response to its creation and after its end. Executions are recorded after their response.
//! Code and its output are never recorded.
//!
//! `statements` contains all SQL, in a form that PostgreSQL also understands, and `schema` contains
//! the migrations. The store does not depend on the resources of sessions.

pub(crate) mod cluster;
mod error;
mod rows;
mod schema;
mod scrape_row;
mod scrapes;
mod statements;

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqlitePool, Transaction};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::error::StoreError;
pub(crate) use self::rows::{ExecutionRecord, ProfileRecord, SessionRecord};
pub(crate) use self::scrape_row::ScrapeRecord;

/// The name of the file in the data directory. While it is open, SQLite keeps two more files beside
/// it, `-wal` and `-shm`.
pub(crate) const FILE: &str = "hearth.db";

/// The time limit for another program, such as a backup, to release the file.
const BUSY_BOUND: Duration = Duration::from_secs(5);

/// The time limit for recording a new session, including the wait for other writes.
const BEGIN_BOUND: Duration = Duration::from_secs(6);

/// The maximum number of executions that wait to be written. Writing one takes a fraction of a
/// millisecond. If a slow disk fills the queue, further executions are not recorded, and a warning
/// is logged.
const WAITING_EXECUTIONS: usize = 4096;

/// The maximum number of executions per transaction.
const BATCH: usize = 256;

/// A handle to the store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    /// The queue of the [`Writer`].
    executions: mpsc::Sender<ExecutionRecord>,
}

/// The task that records executions.
#[derive(Debug)]
pub(crate) struct Writer {
    pool: SqlitePool,
    executions: mpsc::Receiver<ExecutionRecord>,
}

impl Store {
    /// Opens or creates the file in `dir`, and migrates its schema.
    pub async fn open(dir: &Path) -> Result<(Store, Writer), StoreError> {
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
        schema::migrate(&pool).await?;
        let (sender, executions) = mpsc::channel(WAITING_EXECUTIONS);
        Ok((
            Store {
                pool: pool.clone(),
                executions: sender,
            },
            Writer { pool, executions },
        ))
    }

    /// Checks that the file in `dir` can be opened, or does not exist. Changes nothing. Do not call
    /// this while a server uses the file.
    pub async fn check(dir: &Path) -> Result<(), StoreError> {
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
        let last = sqlx::query_scalar::<_, Option<i64>>(statements::LAST_MIGRATION)
            .fetch_one(&pool)
            .await;
        let last = match last {
            // Both SQLite and PostgreSQL name the missing table.
            Err(sqlx::Error::Database(error)) if error.message().contains("_sqlx_migrations") => 0,
            last => last?.unwrap_or(0),
        };
        pool.close().await;
        if usize::try_from(last).is_ok_and(|last| last <= schema::LAST) {
            Ok(())
        } else {
            Err(StoreError::Newer {
                theirs: last,
                ours: schema::LAST,
            })
        }
    }

    /// Writes a consistent copy of the file in `dir` to `target`, which is empty. A server may use
    /// the file meanwhile.
    pub async fn copy(dir: &Path, target: &Path) -> Result<(), StoreError> {
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

    /// Records a new session.
    pub async fn begin_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        let written = timeout(BEGIN_BOUND, session.begin().execute(&self.pool)).await;
        written.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(())
    }

    /// Records the end of a session, unless its end is already recorded.
    pub async fn end_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        session.end().execute(&self.pool).await?;
        Ok(())
    }

    /// Records the end of sessions that an earlier server left open, as of `now`. Returns their
    /// number.
    pub async fn end_lost_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(rows::end_lost(now)
            .execute(&self.pool)
            .await?
            .rows_affected())
    }

    /// Returns at most `max` sessions that ended after `since`, newest first. Skips invalid rows.
    pub async fn ended_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let rows = sqlx::query(statements::ENDED_SESSIONS)
            .bind(since.as_millisecond())
            .bind(i64::try_from(max).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| SessionRecord::read(row).ok().flatten())
            .collect())
    }

    /// Deletes records of sessions and executions that ended at these times or earlier. Records of
    /// scrapes are kept as long as those of sessions.
    pub async fn prune(
        &self,
        sessions: Timestamp,
        executions: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for (statement, until) in [
            (statements::PRUNE_SESSIONS, sessions),
            (statements::PRUNE_EXECUTIONS, executions),
            (statements::PRUNE_SCRAPES, sessions),
        ] {
            sqlx::query(statement)
                .bind(until.as_millisecond())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Records the current version of a profile.
    pub async fn record_profile(&self, profile: &ProfileRecord) -> Result<(), StoreError> {
        profile.record().execute(&self.pool).await?;
        Ok(())
    }

    /// Deletes the record of a profile.
    pub async fn remove_profile(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query(statements::DELETE_PROFILE)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns the profiles of a team, unsorted. Skips invalid rows.
    pub async fn profiles(&self, team: &str) -> Result<Vec<ProfileRecord>, StoreError> {
        let rows = sqlx::query(statements::PROFILES_OF_TEAM)
            .bind(team)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| ProfileRecord::read(row).ok().flatten())
            .collect())
    }

    /// Replaces all records of profiles with `found`.
    pub async fn replace_profiles(&self, found: &[ProfileRecord]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let known: Vec<String> = sqlx::query_scalar(statements::ALL_PROFILES)
            .fetch_all(&mut *transaction)
            .await?;
        let found_ids: HashSet<&str> = found.iter().map(|profile| profile.id.as_str()).collect();
        for id in known.iter().filter(|id| !found_ids.contains(id.as_str())) {
            sqlx::query(statements::DELETE_PROFILE)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        for profile in found {
            profile.record().execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Queues an execution to be recorded.
    pub fn record_execution(&self, execution: ExecutionRecord) {
        if self.executions.try_send(execution).is_err() {
            tracing::warn!("execution not recorded: store too slow");
        }
    }

    /// Waits for running writes, and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Writer {
    /// Records executions until `stop`, and then those that are queued.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let count = tokio::select! {
                biased;
                count = self.executions.recv_many(&mut batch, BATCH) => count,
                () = stop.cancelled() => 0,
            };
            if count == 0 {
                return;
            }
            if let Err(error) = self.write(&batch).await {
                tracing::warn!(%error, count, "executions not recorded");
            }
            batch.clear();
        }
    }

    async fn write(&self, batch: &[ExecutionRecord]) -> Result<(), StoreError> {
        let mut transaction: Transaction<'_, Sqlite> = self.pool.begin().await?;
        for execution in batch {
            execution
                .record(Uuid::now_v7())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}

#[cfg(test)]
mod tests;
