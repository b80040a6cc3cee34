//! Records that outlive the server: sessions and how they ended, executions, profiles, and the
//! pages of scrapes, in a SQLite file in the data directory, or in the PostgreSQL database of a
//! cluster.
//!
//! Active sessions are in memory, and a response about one waits for no read. Only interactions
//! with a scrape read its record. A session is recorded before
//! the response to its creation and after its end. Executions are recorded after their response.
//! Code and its output are never recorded.
//!
//! `statements` contains the SQL that both engines run, and `schema` contains the migrations.
//! `engine` runs it on either. The store does not depend on the resources of sessions.

pub(crate) mod cluster;
mod engine;
mod error;
mod measured;
mod postgres;
mod rows;
mod schema;
mod scrape_row;
mod scrapes;
mod sqlite;
mod statements;
mod writer;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth_contract::DestroyedReason;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use self::engine::{Pool, Statement};
pub(crate) use self::error::StoreError;
pub(crate) use self::measured::ClusterDatabase;
pub(crate) use self::postgres::DatabaseState;
pub(crate) use self::rows::{ExecutionRecord, ProfileRecord, SessionRecord};
pub(crate) use self::scrape_row::ScrapeRecord;
pub(crate) use self::sqlite::FILE;
use self::writer::Outbox;
pub(crate) use self::writer::Writer;
use crate::clock;
use crate::config::DatabaseUrl;
use crate::ending::Ending;
use crate::metrics::StoreMetrics;

/// The time limit for recording a new session, including the wait for other writes.
const BEGIN_BOUND: Duration = Duration::from_secs(6);

/// The time limit for closing connections, which a server behind a broken network does not answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of executions that wait to be written. Writing one takes a fraction of a
/// millisecond. If a slow disk fills the queue, further executions are not recorded, and a warning
/// is logged.
const WAITING_EXECUTIONS: usize = 4096;

/// The place of the records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StorePlace<'a> {
    /// A SQLite file in the data directory.
    Dir(&'a Path),
    /// The PostgreSQL database of a cluster, which the node with this name opens.
    Database { url: &'a DatabaseUrl, node: &'a str },
}

/// A handle to the store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: Pool,
    /// The name of the node that owns the sessions of this server. Empty with SQLite.
    node: Arc<str>,
    /// The queue of the [`Writer`].
    executions: mpsc::Sender<ExecutionRecord>,
    outbox: Outbox,
}

impl Store {
    /// Opens or creates the store, and migrates its schema.
    pub async fn open(place: StorePlace<'_>) -> Result<(Store, Writer), StoreError> {
        let metrics = StoreMetrics::default();
        let (pool, node) = match place {
            StorePlace::Dir(dir) => (Pool::Sqlite(sqlite::open(dir).await?, metrics), ""),
            StorePlace::Database { url, node } => {
                let database = ClusterDatabase::new(postgres::open(url).await?, metrics);
                (Pool::Postgres(database), node)
            }
        };
        let (sender, executions) = mpsc::channel(WAITING_EXECUTIONS);
        let outbox = Outbox::default();
        Ok((
            Store {
                pool: pool.clone(),
                node: node.into(),
                executions: sender,
                outbox: outbox.clone(),
            },
            Writer {
                pool,
                executions,
                outbox,
            },
        ))
    }

    /// Checks that the file in `dir` can be opened, or does not exist. Changes nothing. Do not call
    /// this while a server uses the file.
    pub async fn check(dir: &Path) -> Result<(), StoreError> {
        sqlite::check(dir).await
    }

    /// Writes a consistent copy of the file in `dir` to `target`, which is empty. A server may use
    /// the file meanwhile.
    pub async fn copy(dir: &Path, target: &Path) -> Result<(), StoreError> {
        sqlite::copy(dir, target).await
    }

    /// Checks that a node could use the database. Changes nothing.
    pub async fn check_database(url: &DatabaseUrl) -> Result<DatabaseState, StoreError> {
        postgres::check(url).await
    }

    /// Returns the connections to PostgreSQL, if this is the store of a cluster.
    pub fn postgres(&self) -> Option<&ClusterDatabase> {
        match &self.pool {
            Pool::Postgres(database) => Some(database),
            Pool::Sqlite(..) => None,
        }
    }

    /// Returns the metrics on the statements of this store.
    pub fn metrics(&self) -> &StoreMetrics {
        self.pool.metrics()
    }

    /// Records a new session.
    pub async fn begin_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        let writing = self.pool.execute(session.begin(&self.node));
        let written = timeout(BEGIN_BOUND, writing).await;
        match written.map_err(|_| StoreError::NoReply).flatten() {
            Ok(_) => Ok(()),
            Err(error) => {
                if error.is_ambiguous() {
                    self.abandon_session(session);
                }
                Err(error)
            }
        }
    }

    /// Records later that a session ended at its start, because its record may exist although
    /// nobody has got it.
    fn abandon_session(&self, session: &SessionRecord) {
        let ending = Ending {
            reason: DestroyedReason::Deleted,
            limit: None,
            at: clock::now(),
            duration_ms: 0,
        };
        self.end_session_later(SessionRecord {
            ending: Some(ending),
            ..session.clone()
        });
    }

    /// Records the end of a session, unless its end is already recorded. If that fails, it is
    /// repeated until it succeeds.
    pub async fn end_session(&self, session: &SessionRecord) {
        if let Err(error) = self.pool.execute(session.end()).await {
            tracing::warn!(%error, session = %session.id, "session end delayed");
            self.end_session_later(session.clone());
        }
    }

    /// Records the end of a session in the background.
    pub fn end_session_later(&self, session: SessionRecord) {
        let id = session.id;
        if !self.outbox.add(session) {
            tracing::error!(session = %id, "session end not recorded: too many wait");
        }
    }

    /// Returns the number of ends of sessions that wait to be recorded.
    pub fn waiting_ends(&self) -> usize {
        self.outbox.len()
    }

    /// Records the end of sessions that an earlier server of this node left open, as of `now`.
    /// Returns their number. The sessions of other nodes are not affected.
    pub async fn end_lost_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.pool.execute(rows::end_lost(&self.node, now)).await
    }

    /// Returns at most `max` sessions that ended after `since`, newest first. Skips invalid rows.
    pub async fn ended_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let ended = Statement::new(statements::ENDED_SESSIONS)
            .bind(since.as_millisecond())
            .bind(i64::try_from(max).unwrap_or(i64::MAX));
        self.pool.fetch(ended, SessionRecord::read).await
    }

    /// Deletes records of sessions and executions that ended at these times or earlier. Records of
    /// scrapes are kept as long as those of sessions.
    pub async fn prune(
        &self,
        sessions: Timestamp,
        executions: Timestamp,
    ) -> Result<(), StoreError> {
        let prune = [
            (statements::PRUNE_SESSIONS, sessions),
            (statements::PRUNE_EXECUTIONS, executions),
            (statements::PRUNE_SCRAPES, sessions),
        ];
        let prune = prune.map(|(sql, until)| Statement::new(sql).bind(until.as_millisecond()));
        self.pool.execute_all(prune.into()).await
    }

    /// Records the current version of a profile.
    pub async fn record_profile(&self, profile: &ProfileRecord) -> Result<(), StoreError> {
        self.pool.execute(profile.record()).await.map(drop)
    }

    /// Deletes the record of a profile.
    pub async fn remove_profile(&self, id: &str) -> Result<(), StoreError> {
        self.pool.execute(rows::delete_profile(id)).await.map(drop)
    }

    /// Returns the profiles of a team, unsorted. Skips invalid rows.
    pub async fn profiles(&self, team: &str) -> Result<Vec<ProfileRecord>, StoreError> {
        let profiles = Statement::new(statements::PROFILES_OF_TEAM).bind(team);
        self.pool.fetch(profiles, ProfileRecord::read).await
    }

    /// Corrects the records of profiles: `found` are the profiles in the directory of this server.
    /// Records of other profiles are removed, unless nodes share the store. They may have them.
    pub async fn correct_profiles(&self, found: &[ProfileRecord]) -> Result<(), StoreError> {
        let mut corrections: Vec<Statement> = found.iter().map(ProfileRecord::record).collect();
        if self.postgres().is_none() {
            let all = Statement::new(statements::ALL_PROFILES);
            let known = self.pool.fetch(all, |row| row.text("id")).await?;
            let found: HashSet<&str> = found.iter().map(|profile| profile.id.as_str()).collect();
            let gone = known.iter().filter(|id| !found.contains(id.as_str()));
            corrections.extend(gone.map(|id| rows::delete_profile(id)));
        }
        self.pool.execute_all(corrections).await
    }

    /// Returns the sessions whose ends wait to be recorded.
    pub fn waiting_end_ids(&self) -> Vec<Uuid> {
        self.outbox.ids()
    }

    /// Queues an execution to be recorded.
    pub fn record_execution(&self, execution: ExecutionRecord) {
        if self.executions.try_send(execution).is_err() {
            tracing::warn!("execution not recorded: store too slow");
        }
    }

    /// Waits for running writes, and closes the connections.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool, _) => pool.close().await,
            Pool::Postgres(database) => {
                let _ = timeout(CLOSE_TIMEOUT, database.pool().close()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
