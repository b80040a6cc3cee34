//! The nodes of a cluster: registration, leases, and the sessions of nodes that are lost.

use std::net::SocketAddr;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{Acquire, PgConnection, Row};

/// One life of a node, from its registration to its end. A later life of the same name has a larger
/// epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Life {
    pub name: String,
    pub epoch: i64,
}

/// The state of a node. Within one life it only moves to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum NodeState {
    /// It creates sessions.
    Up,
    /// It creates none, and its sessions continue.
    Draining,
    /// It has ended in an orderly way.
    Left,
    /// Another node has declared it dead.
    Dead,
}

/// The sessions of a node, and whether it can have more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeLoad {
    pub sessions: usize,
    pub max_sessions: usize,
    /// False if the node lacks memory, disk space or a working browser.
    pub ready: bool,
}

/// The facts that a node states about itself when it registers.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub name: String,
    pub address: SocketAddr,
    /// SHA-256 of its certificate, in hex.
    pub fingerprint: String,
    pub version: String,
    pub protocol: u32,
    pub max_sessions: usize,
    /// The life that the process has had before, with its number, if the store has forgotten it.
    pub earlier: Option<(i64, u16)>,
}

/// A row of the table of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeRecord {
    pub life: Life,
    pub number: u16,
    pub address: String,
    pub fingerprint: String,
    pub proof: String,
    pub version: String,
    pub protocol: u32,
    pub state: NodeState,
    pub beat: i64,
    pub load: NodeLoad,
}

/// A session of a node that has lost its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostSession {
    pub id: String,
    pub owner: Life,
}

/// Begins a new life of the node. The epoch grows with every life of the name, even if the clock of
/// the database was set back or the table was restored. A node that is alive keeps its number.
const REGISTER: &str = "
    INSERT INTO nodes (name, epoch, number, address, fingerprint, proof, version, protocol, state,
                       beat, sessions, max_sessions, ready, began_at_ms)
    SELECT $1, GREATEST($8::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint),
           COALESCE(
               (SELECT n FROM generate_series(1, 4095) n
                WHERE n = $7::bigint AND NOT EXISTS
                    (SELECT 1 FROM nodes o WHERE o.number = n AND o.state IN ('up', 'draining') AND o.name <> $1)),
               (SELECT MIN(n) FROM generate_series(1, 4095) n
                WHERE NOT EXISTS
                    (SELECT 1 FROM nodes o WHERE o.number = n AND o.state IN ('up', 'draining') AND o.name <> $1))),
           $2, $3, '', $4, $5, 'up', 0, 0, $6, TRUE, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    ON CONFLICT (name) DO UPDATE
    SET epoch = GREATEST(nodes.epoch + 1, excluded.epoch),
        number = CASE WHEN nodes.state IN ('up', 'draining') THEN nodes.number ELSE excluded.number END,
        address = excluded.address, fingerprint = excluded.fingerprint, proof = '',
        version = excluded.version, protocol = excluded.protocol, state = 'up', beat = 0,
        sessions = 0, max_sessions = excluded.max_sessions, ready = TRUE,
        began_at_ms = excluded.began_at_ms, ended_at_ms = NULL, ended_by = NULL
    RETURNING epoch, number";

const PROVE: &str = "UPDATE nodes SET proof = $3 WHERE name = $1 AND epoch = $2";

const BEAT: &str = "
    UPDATE nodes SET beat = beat + 1, sessions = $3, max_sessions = $4, ready = $5
    WHERE name = $1 AND epoch = $2 AND state IN ('up', 'draining')
    RETURNING beat";

const ALIVE: &str = "
    SELECT name, epoch, number, address, fingerprint, proof, version, protocol, state, beat,
           sessions, max_sessions, ready
    FROM nodes WHERE state IN ('up', 'draining') ORDER BY name";

const ALL: &str = "
    SELECT name, epoch, number, address, fingerprint, proof, version, protocol, state, beat,
           sessions, max_sessions, ready
    FROM nodes ORDER BY name";

const STATE: &str = "SELECT epoch, state FROM nodes WHERE name = $1";

/// Counts only if the beat is still the one that was observed.
const DECLARE_DEAD: &str = "
    UPDATE nodes
    SET state = 'dead', ended_by = $4,
        ended_at_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE name = $1 AND epoch = $2 AND beat = $3 AND state IN ('up', 'draining')
    RETURNING 1";

const DRAIN: &str = "
    UPDATE nodes SET state = 'draining' WHERE name = $1 AND epoch = $2 AND state = 'up'";

const DRAIN_NAMED: &str = "
    UPDATE nodes SET state = 'draining'
    WHERE name = $1 AND state IN ('up', 'draining') RETURNING epoch";

const LEAVE: &str = "
    UPDATE nodes
    SET state = 'left', ended_by = name,
        ended_at_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE name = $1 AND epoch = $2 AND state IN ('up', 'draining')";

/// Ends the sessions whose owner is not alive. The owner of a session only changes by itself, so
/// one statement suffices.
const SWEEP_SESSIONS: &str = "
    UPDATE sessions
    SET destroyed_reason = 'node_lost', destroyed_at_ms = $1,
        duration_ms = CASE WHEN expires_at_ms < $1 THEN expires_at_ms - created_at_ms
                           ELSE CAST($1 AS BIGINT) - created_at_ms END
    WHERE destroyed_reason IS NULL AND NOT EXISTS
        (SELECT 1 FROM nodes n
         WHERE n.name = sessions.node AND n.epoch = sessions.epoch AND n.state IN ('up', 'draining'))
    RETURNING id, node, epoch";

/// Deletes nodes that ended a day ago. Every pod has another name.
const FORGET_ENDED: &str = "
    DELETE FROM nodes
    WHERE state IN ('left', 'dead')
      AND ended_at_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 86400000";

impl NodeState {
    /// Returns the name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            NodeState::Up => "up",
            NodeState::Draining => "draining",
            NodeState::Left => "left",
            NodeState::Dead => "dead",
        }
    }

    /// Returns the state with this name in the store.
    pub fn parse(name: &str) -> Option<NodeState> {
        let all = [
            NodeState::Up,
            NodeState::Draining,
            NodeState::Left,
            NodeState::Dead,
        ];
        all.into_iter().find(|state| state.as_str() == name)
    }

    /// Returns true if the node owns sessions.
    pub fn is_alive(self) -> bool {
        matches!(self, NodeState::Up | NodeState::Draining)
    }
}

/// Begins a new life of a node, and returns its epoch and number. `prove` returns the proof for an
/// epoch. An earlier life of the same name ends.
pub(crate) async fn register(
    connection: &mut PgConnection,
    registration: &Registration,
    prove: impl Fn(i64) -> String,
) -> Result<(i64, u16), sqlx::Error> {
    let (min_epoch, number) = registration
        .earlier
        .map_or((0, 0), |(epoch, number)| (epoch + 1, i64::from(number)));
    let mut transaction = connection.begin().await?;
    let row = sqlx::query(REGISTER)
        .bind(&registration.name)
        .bind(registration.address.to_string())
        .bind(&registration.fingerprint)
        .bind(&registration.version)
        .bind(i64::from(registration.protocol))
        .bind(signed(registration.max_sessions))
        .bind(number)
        .bind(min_epoch)
        .fetch_one(&mut *transaction)
        .await?;
    let epoch: i64 = row.try_get("epoch")?;
    sqlx::query(PROVE)
        .bind(&registration.name)
        .bind(epoch)
        .bind(prove(epoch))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok((epoch, unsigned(&row, "number")?))
}

/// Moves the beat of a node, and records its load. Returns false if the life has ended, or the
/// store does not know it.
pub(crate) async fn beat(
    connection: &mut PgConnection,
    life: &Life,
    load: NodeLoad,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(BEAT)
        .bind(&life.name)
        .bind(life.epoch)
        .bind(signed(load.sessions))
        .bind(signed(load.max_sessions))
        .bind(load.ready)
        .fetch_optional(connection)
        .await?;
    Ok(moved.is_some())
}

/// Returns the nodes that are alive, by name. Skips invalid rows.
pub(crate) async fn alive(connection: &mut PgConnection) -> Result<Vec<NodeRecord>, sqlx::Error> {
    let rows = sqlx::query(ALIVE).fetch_all(connection).await?;
    Ok(rows
        .iter()
        .filter_map(|row| read(row).ok().flatten())
        .collect())
}

/// Returns all nodes, also those that have ended lately, by name. Skips invalid rows.
pub(crate) async fn all(connection: &mut PgConnection) -> Result<Vec<NodeRecord>, sqlx::Error> {
    let rows = sqlx::query(ALL).fetch_all(connection).await?;
    Ok(rows
        .iter()
        .filter_map(|row| read(row).ok().flatten())
        .collect())
}

/// Returns the epoch and the state of the latest life of a name.
pub(crate) async fn latest_life(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<(i64, NodeState)>, sqlx::Error> {
    let row = sqlx::query(STATE)
        .bind(name)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let state: String = row.try_get("state")?;
    // An unknown state is one of a newer version, which ends the life.
    let state = NodeState::parse(&state).unwrap_or(NodeState::Dead);
    Ok(Some((row.try_get("epoch")?, state)))
}

/// Ends the lease of a node whose beat is still `beat`. Returns true if the verdict counts.
pub(crate) async fn declare_dead(
    connection: &mut PgConnection,
    life: &Life,
    beat: i64,
    by: &str,
) -> Result<bool, sqlx::Error> {
    let declared = sqlx::query(DECLARE_DEAD)
        .bind(&life.name)
        .bind(life.epoch)
        .bind(beat)
        .bind(by)
        .fetch_optional(connection)
        .await?;
    Ok(declared.is_some())
}

/// Marks a node as draining, if it is up.
pub(crate) async fn drain(connection: &mut PgConnection, life: &Life) -> Result<(), sqlx::Error> {
    let draining = sqlx::query(DRAIN).bind(&life.name).bind(life.epoch);
    draining.execute(connection).await.map(drop)
}

/// Marks the node with this name as draining. Returns false if no such node is alive.
pub(crate) async fn drain_named(
    connection: &mut PgConnection,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let drained = sqlx::query(DRAIN_NAMED)
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(drained.is_some())
}

/// Ends a life in an orderly way.
pub(crate) async fn leave(connection: &mut PgConnection, life: &Life) -> Result<(), sqlx::Error> {
    let leaving = sqlx::query(LEAVE).bind(&life.name).bind(life.epoch);
    leaving.execute(connection).await.map(drop)
}

/// Ends the sessions of nodes that are not alive, as of `now`. Returns them.
pub(crate) async fn sweep_sessions(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<LostSession>, sqlx::Error> {
    let rows = sqlx::query(SWEEP_SESSIONS)
        .bind(now.as_millisecond())
        .fetch_all(connection)
        .await?;
    let lost = rows.iter().map(|row| {
        let owner = Life {
            name: row.try_get("node")?,
            epoch: row.try_get("epoch")?,
        };
        let id = row.try_get("id")?;
        Ok::<_, sqlx::Error>(LostSession { id, owner })
    });
    lost.collect()
}

/// Deletes the nodes that ended a day ago.
pub(crate) async fn forget_ended(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET_ENDED)
        .execute(connection)
        .await
        .map(drop)
}

/// Reads a row. Returns none if it is invalid.
fn read(row: &PgRow) -> Result<Option<NodeRecord>, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let Some(state) = NodeState::parse(&state) else {
        return Ok(None);
    };
    Ok(Some(NodeRecord {
        life: Life {
            name: row.try_get("name")?,
            epoch: row.try_get("epoch")?,
        },
        number: unsigned(row, "number")?,
        address: row.try_get("address")?,
        fingerprint: row.try_get("fingerprint")?,
        proof: row.try_get("proof")?,
        version: row.try_get("version")?,
        protocol: unsigned(row, "protocol")?,
        state,
        beat: row.try_get("beat")?,
        load: NodeLoad {
            sessions: unsigned(row, "sessions")?,
            max_sessions: unsigned(row, "max_sessions")?,
            ready: row.try_get("ready")?,
        },
    }))
}

/// Returns a number, or zero if the type cannot hold it.
fn unsigned<T: TryFrom<i64> + Default>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    Ok(T::try_from(number).unwrap_or_default())
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
