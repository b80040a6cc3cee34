//! The own connections of a node's membership.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::timeout;

use super::nodes::{self, Life, LostSession, NodeLoad, NodeRecord, NodeState, Registration};
use crate::config::DatabaseUrl;
use crate::metrics::{StoreMetrics, StoreStatement};
use crate::store::error::StoreError;
use crate::store::measured::{ClusterDatabase, measured};
use crate::store::postgres;

/// The time limit for a new connection, and for one statement.
const BOUND: Duration = Duration::from_secs(2);

/// A connection for beats or looks, apart from those of sessions: a statement about a session must
/// not delay a beat. After an error, the next call opens another connection.
#[derive(Debug)]
pub(crate) struct MemberConnection {
    options: PgConnectOptions,
    bound: Duration,
    connection: Option<PgConnection>,
    metrics: StoreMetrics,
}

/// Runs a statement of this kind on the connection, within the time limit.
macro_rules! run {
    ($self:ident, $statement:ident, $connection:ident => $work:expr) => {{
        let metrics = $self.metrics.clone();
        // Boxed, because the state of a statement is large.
        let working = Box::pin(async {
            let mut connection = $self.take().await?;
            let $connection = &mut connection;
            let result = timeout($self.bound, $work).await;
            let result = result.map_err(|_| StoreError::NoReply)?;
            // After a failover, the old server can still answer, but rejects every write.
            if result.is_ok() {
                $self.connection = Some(connection);
            }
            Ok(result?)
        });
        measured(&metrics, StoreStatement::$statement, working).await
    }};
}

impl MemberConnection {
    /// Creates a connection beside those of `database`, which the first call opens.
    pub fn new(database: &ClusterDatabase) -> MemberConnection {
        MemberConnection {
            options: PgConnectOptions::clone(&database.pool().connect_options()),
            bound: BOUND,
            connection: None,
            metrics: database.metrics().clone(),
        }
    }

    /// Creates a connection to a database, which the first call opens.
    pub fn to(url: &DatabaseUrl) -> Result<MemberConnection, StoreError> {
        Ok(MemberConnection {
            options: postgres::options(url)?,
            bound: BOUND,
            connection: None,
            metrics: StoreMetrics::default(),
        })
    }

    /// Sets another time limit.
    #[cfg(test)]
    pub fn with_bound(self, bound: Duration) -> MemberConnection {
        MemberConnection { bound, ..self }
    }

    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connected = timeout(self.bound, self.options.connect()).await;
        Ok(connected.map_err(|_| StoreError::NoReply)??)
    }

    /// Begins a new life of a node; see [`nodes::register`].
    pub async fn register(
        &mut self,
        registration: &Registration,
        prove: impl Fn(i64) -> String,
    ) -> Result<(i64, u16), StoreError> {
        run!(self, Membership, connection => nodes::register(connection, registration, prove))
    }

    /// Moves the beat of a node; see [`nodes::beat`].
    pub async fn beat(&mut self, life: &Life, load: NodeLoad) -> Result<bool, StoreError> {
        run!(self, Beat, connection => nodes::beat(connection, life, load))
    }

    /// Returns the nodes that are alive.
    pub async fn alive(&mut self) -> Result<Vec<NodeRecord>, StoreError> {
        run!(self, Look, connection => nodes::alive(connection))
    }

    /// Returns all nodes, also those that have ended lately.
    pub async fn all(&mut self) -> Result<Vec<NodeRecord>, StoreError> {
        run!(self, Membership, connection => nodes::all(connection))
    }

    /// Returns the epoch and the state of the latest life of a name.
    pub async fn latest_life(
        &mut self,
        name: &str,
    ) -> Result<Option<(i64, NodeState)>, StoreError> {
        run!(self, Membership, connection => nodes::latest_life(connection, name))
    }

    /// Ends the lease of a node; see [`nodes::declare_dead`].
    pub async fn declare_dead(
        &mut self,
        life: &Life,
        beat: i64,
        by: &str,
    ) -> Result<bool, StoreError> {
        run!(self, Membership, connection => nodes::declare_dead(connection, life, beat, by))
    }

    /// Marks a node as draining, if it is up.
    pub async fn drain(&mut self, life: &Life) -> Result<(), StoreError> {
        run!(self, Membership, connection => nodes::drain(connection, life))
    }

    /// Marks the node with this name as draining. Returns false if no such node is alive.
    pub async fn drain_named(&mut self, name: &str) -> Result<bool, StoreError> {
        run!(self, Membership, connection => nodes::drain_named(connection, name))
    }

    /// Ends a life in an orderly way.
    pub async fn leave(&mut self, life: &Life) -> Result<(), StoreError> {
        run!(self, Membership, connection => nodes::leave(connection, life))
    }

    /// Ends the sessions of nodes that are not alive, as of `now`. Returns them.
    pub async fn sweep_sessions(&mut self, now: Timestamp) -> Result<Vec<LostSession>, StoreError> {
        run!(self, Sweep, connection => nodes::sweep_sessions(connection, now))
    }

    /// Deletes the nodes that ended a day ago.
    pub async fn forget_ended(&mut self) -> Result<(), StoreError> {
        run!(self, Membership, connection => nodes::forget_ended(connection))
    }
}
