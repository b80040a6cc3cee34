//! Nodes that are only rows of the database: one connection beats and looks for all of them.

use std::fmt::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hearth_test_support::TestPostgres;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::interval;

/// A node beats every 20 ticks and looks every 10 ticks, as a server does.
const TICK: Duration = Duration::from_millis(100);
const BEAT_TICKS: usize = 20;
const LOOK_TICKS: usize = 10;

/// The numbers of servers are lower.
const FIRST_NUMBER: usize = 2000;

/// Rows that beat like nodes. They are not ready, so they get no sessions.
#[derive(Debug)]
pub struct RowNodes {
    /// The number of rows that still beat.
    beating: Arc<AtomicUsize>,
    beats: JoinHandle<()>,
    psql: Child,
}

impl RowNodes {
    /// Adds `count` rows and starts their beats.
    pub fn start(postgres: &TestPostgres, database: &str, count: usize) -> RowNodes {
        postgres.query(
            database,
            &format!(
                "INSERT INTO nodes (name, epoch, number, address, fingerprint, proof, version, protocol,
                                    state, beat, sessions, max_sessions, ready, began_at_ms)
                 SELECT 'row-' || n, 1, {FIRST_NUMBER} + n, '127.0.0.1:9', '', '', '0', 1, 'up', 0, 10, 10, FALSE, 0
                 FROM generate_series(0, {count} - 1) n"
            ),
        );
        let mut psql = Command::from(postgres.psql(database))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("psql is installed with PostgreSQL");
        let input = psql.stdin.take().expect("it is piped");
        let beating = Arc::new(AtomicUsize::new(count));
        RowNodes {
            beats: tokio::spawn(beat(input, count, Arc::clone(&beating))),
            beating,
            psql,
        }
    }

    /// Stops the beats of a tenth of the rows. Returns their number.
    pub fn stop_some(&self) -> usize {
        let count = self.beating.load(Ordering::Relaxed);
        self.beating.store(count - count / 10, Ordering::Relaxed);
        count / 10
    }

    pub async fn stop(mut self) {
        self.beats.abort();
        self.psql.kill().await.expect("it is a child of this test");
    }
}

/// Spreads the statements of all rows evenly over time.
async fn beat(mut input: ChildStdin, count: usize, beating: Arc<AtomicUsize>) {
    let mut ticks = interval(TICK);
    for tick in 0.. {
        ticks.tick().await;
        let rows = 0..beating.load(Ordering::Relaxed).min(count);
        let mut sql = String::new();
        for row in rows {
            if row % BEAT_TICKS == tick % BEAT_TICKS {
                writeln!(
                    sql,
                    "UPDATE nodes SET beat = beat + 1, sessions = 10, max_sessions = 10, ready = FALSE \
                     WHERE name = 'row-{row}' AND epoch = 1 AND state IN ('up', 'draining') RETURNING beat;"
                )
                .expect("a text takes all");
            }
            if row % LOOK_TICKS == tick % LOOK_TICKS {
                sql += "SELECT name, epoch, number, address, fingerprint, proof, version, protocol, state, beat, \
                        sessions, max_sessions, ready FROM nodes WHERE state IN ('up', 'draining') ORDER BY name;\n";
            }
        }
        if input.write_all(sql.as_bytes()).await.is_err() {
            return;
        }
    }
}
