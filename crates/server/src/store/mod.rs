//! What outlives the server: which sessions there were and how each ended, which executions, and
//! which profiles there are. A file of SQLite in the data folder.
//!
//! Living sessions are known in memory alone, and answers never wait for a read. A session is
//! written down before its creation is answered and after its end; executions are written behind
//! their answers. What code was run, and what came of it, is never written.
//!
//! All SQL is in `statements`, and reads the same to PostgreSQL; `schema` is the shape of the
//! tables. It must not know what a session owns.

mod rows;
mod schema;
mod statements;

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqlitePool, Transaction};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::rows::{ExecutionRecord, ProfileRecord, SessionRecord};

/// The file in the data folder. SQLite puts two more beside it while it is open, `-wal` and `-shm`.
pub(crate) const FILE: &str = "hearth.db";

/// How long a statement waits for another program that has the file, such as a backup.
const BUSY_BOUND: Duration = Duration::from_secs(5);

/// How long the answer to a creation waits for being written down, whatever else is being written.
const BEGIN_BOUND: Duration = Duration::from_secs(6);

/// Executions that wait to be written. Writing takes a fraction of a millisecond; beyond that many
/// a slow disk is told of in the log, and what comes is left out.
const WAITING_EXECUTIONS: usize = 4096;

/// So many are written in one transaction.
const BATCH: usize = 256;

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The file is not there to be used.
    #[error("{path} cannot be opened: {source}")]
    Open {
        /// Which one.
        path: PathBuf,
        /// SQLite's reason.
        source: sqlx::Error,
    },
    /// A later Hearth has written it.
    #[error(
        "it was written by a newer Hearth (its schema is {theirs}, this one knows {ours}): start that one, or use another HEARTH_DATA_DIR"
    )]
    Newer {
        /// The step of the schema that we do not know.
        theirs: i64,
        /// The last one that we know.
        ours: usize,
    },
    /// It could not be given today's shape.
    #[error("its tables cannot be made: {0}")]
    Schema(sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("{0}")]
    Statement(#[from] sqlx::Error),
}

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    /// To the [`Writer`].
    executions: mpsc::Sender<ExecutionRecord>,
}

/// Writes executions down, for as long as it runs.
#[derive(Debug)]
pub(crate) struct Writer {
    pool: SqlitePool,
    executions: mpsc::Receiver<ExecutionRecord>,
}

impl Store {
    /// Opens the file in `folder`, or makes it, and brings it to today's shape.
    pub async fn open(folder: &Path) -> Result<(Store, Writer), StoreError> {
        let path = folder.join(FILE);
        // SQLite gives the two beside it the same mode.
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
            // What is committed outlives this process whatever ends it; after a power failure the
            // last moments may be missing.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_BOUND)
            .disable_statement_logging();
        // Each connection is a thread, and a file of SQLite has one writer at a time anyway.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await;
        let pool = pool.map_err(|source| StoreError::Open { path, source })?;
        schema::bring_up_to_date(&pool).await?;
        let (sender, executions) = mpsc::channel(WAITING_EXECUTIONS);
        Ok((
            Store {
                pool: pool.clone(),
                executions: sender,
            },
            Writer { pool, executions },
        ))
    }

    /// Whether the file in `folder` can be opened; one that is not there can. Changes nothing. Not
    /// to be asked while a server has it.
    pub async fn look(folder: &Path) -> Result<(), StoreError> {
        let path = folder.join(FILE);
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
        let last = sqlx::query_scalar::<_, Option<i64>>(statements::LAST_STEP)
            .fetch_one(&pool)
            .await;
        let last = match last {
            // Both SQLite and PostgreSQL name the table that is not there.
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

    /// Writes down that a session has begun.
    pub async fn begin_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        let written = timeout(BEGIN_BOUND, session.begin().execute(&self.pool)).await;
        written.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(())
    }

    /// Writes down how a session has ended, unless that is known already.
    pub async fn end_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        session.end().execute(&self.pool).await?;
        Ok(())
    }

    /// Ends the sessions of an earlier server that was lost, as of `now`. Tells how many there
    /// were.
    pub async fn end_lost_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(rows::end_lost(now)
            .execute(&self.pool)
            .await?
            .rows_affected())
    }

    /// The sessions that ended after `since`, newest first, `most` of them at the most. Rows that
    /// make no sense are left out.
    pub async fn ended_sessions(
        &self,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let rows = sqlx::query(statements::ENDED_SESSIONS)
            .bind(since.as_millisecond())
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| SessionRecord::read(row).ok().flatten())
            .collect())
    }

    /// Forgets sessions and executions that ended at these times or earlier.
    pub async fn forget(
        &self,
        sessions: Timestamp,
        executions: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for (statement, until) in [
            (statements::FORGET_SESSIONS, sessions),
            (statements::FORGET_EXECUTIONS, executions),
        ] {
            sqlx::query(statement)
                .bind(until.as_millisecond())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Writes down what a profile is by now.
    pub async fn record_profile(&self, profile: &ProfileRecord) -> Result<(), StoreError> {
        profile.record().execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets a profile.
    pub async fn forget_profile(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query(statements::FORGET_PROFILE)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The profiles of a team, in no order. Rows that make no sense are left out.
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

    /// Makes `found` all that is known of profiles.
    pub async fn correct_profiles(&self, found: &[ProfileRecord]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let known: Vec<String> = sqlx::query_scalar(statements::ALL_PROFILES)
            .fetch_all(&mut *transaction)
            .await?;
        let found_ids: HashSet<&str> = found.iter().map(|profile| profile.id.as_str()).collect();
        for id in known.iter().filter(|id| !found_ids.contains(id.as_str())) {
            sqlx::query(statements::FORGET_PROFILE)
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        for profile in found {
            profile.record().execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Has an execution written down; does not wait for it.
    pub fn record_execution(&self, execution: ExecutionRecord) {
        if self.executions.try_send(execution).is_err() {
            tracing::warn!("an execution is not recorded: the store is too slow");
        }
    }

    /// Waits for what is being written, and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Writer {
    /// Writes what comes, until `stop`, and then what has come by then.
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
                tracing::warn!(%error, count, "executions are not recorded");
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
