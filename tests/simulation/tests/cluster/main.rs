//! A cluster of 100 nodes with 1,000 sessions: 20 real servers, and rows that beat like 80 more.
//!
//! It takes minutes and some gigabytes of memory: `make simulation`. It prints what it measures.

mod row_nodes;
mod servers;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use hearth_test_support::{TestPostgres, eventually};
use serde_json::json;

use crate::row_nodes::RowNodes;
use crate::servers::Servers;

// The sizes of the simulation. HEARTH_SIMULATION_SERVERS, _SESSIONS and _ROWS change them.
const SERVERS: usize = 20;
const SESSIONS: usize = 1000;
const ROWS: usize = 80;

/// Requests at the same time.
const CONCURRENCY: usize = 16;

/// The time from the loss of a node until its sessions are gone.
const LOSS_DEADLINE: Duration = Duration::from_secs(10);

/// The time in which the load of an idle cluster is measured.
const IDLE: Duration = Duration::from_secs(20);

fn size(name: &str, default: usize) -> usize {
    let given = std::env::var(format!("HEARTH_SIMULATION_{name}"));
    given.map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and gigabytes (make simulation)"]
async fn a_hundred_nodes_serve_a_thousand_sessions() {
    let (servers, sessions) = (size("SERVERS", SERVERS), size("SESSIONS", SESSIONS));
    let mut postgres = TestPostgres::start().await;
    // Six connections per server, and some for the rows.
    postgres.query(&postgres.url(), "ALTER SYSTEM SET max_connections = 300");
    postgres.restart().await;
    let database = postgres.create_database();

    let stub = Path::new(env!("CARGO_BIN_EXE_stub-browser"));
    let mut cluster = Servers::start(&database, servers, sessions, stub).await;
    let rows = RowNodes::start(&postgres, &database, size("ROWS", ROWS));

    let ids = create_sessions(&postgres, &cluster, sessions).await;
    assert_every_session_is_listed(&cluster, &ids).await;
    run_code_everywhere(&cluster, &ids).await;
    measure_idle_load(&postgres).await;
    lose_nodes(&postgres, &database, &mut cluster, &rows, &ids).await;

    rows.stop().await;
    cluster.stop().await;
}

/// Creates sessions through all servers in turn.
async fn create_sessions(postgres: &TestPostgres, cluster: &Servers, count: usize) -> Vec<String> {
    let (start, used) = (Instant::now(), postgres.processor_seconds());
    let created = stream::iter(0..count)
        .map(|number| async move {
            let start = Instant::now();
            let reply = cluster.api(number).create(&json!({})).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            let id = reply.body["id"].as_str().expect("an id").to_owned();
            (id, start.elapsed())
        })
        .buffer_unordered(CONCURRENCY)
        .collect::<Vec<_>>()
        .await;
    let seconds = start.elapsed().as_secs_f64();
    let (ids, times): (Vec<_>, Vec<_>) = created.into_iter().unzip();
    println!(
        "{count} sessions created in {seconds:.1} s, {}; PostgreSQL used {:.0} % of a processor",
        percentiles(times),
        (postgres.processor_seconds() - used) / seconds * 100.0
    );
    ids
}

async fn assert_every_session_is_listed(cluster: &Servers, ids: &[String]) {
    let reply = cluster.api(0).list("").await;
    let sessions = reply.body["sessions"].as_array().expect("a list");
    let listed: Vec<&str> = sessions
        .iter()
        .filter_map(|session| session["id"].as_str())
        .collect();
    assert_eq!(listed.len(), ids.len());
    let missing: Vec<&String> = ids.iter().filter(|id| !listed.contains(&&***id)).collect();
    assert!(missing.is_empty(), "not listed: {missing:?}");
}

/// Runs code in every tenth session through all servers in turn, so nearly all requests are
/// forwarded.
async fn run_code_everywhere(cluster: &Servers, ids: &[String]) {
    let runs = stream::iter(ids.iter().step_by(10).enumerate())
        .map(|(number, id)| async move {
            let start = Instant::now();
            let entry = cluster.api(number);
            let code = json!({ "language": "bash", "code": "echo $((6 * 7))" });
            let reply = entry.execute(id, &code).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            assert_eq!(reply.body["result"], "42", "{}", reply.body);
            start.elapsed()
        })
        .buffer_unordered(CONCURRENCY / 4)
        .collect::<Vec<_>>()
        .await;
    println!("{} executions, {}", runs.len(), percentiles(runs));
}

/// Measures the load of beats, views and sweeps alone.
async fn measure_idle_load(postgres: &TestPostgres) {
    let (start, used) = (Instant::now(), postgres.processor_seconds());
    tokio::time::sleep(IDLE).await;
    let share = (postgres.processor_seconds() - used) / start.elapsed().as_secs_f64();
    println!(
        "idle, PostgreSQL used {:.0} % of a processor",
        share * 100.0
    );
    assert!(share < 1.0, "PostgreSQL uses {share:.2} processors");
}

/// Kills a tenth of the servers and of the rows at the same moment.
async fn lose_nodes(
    postgres: &TestPostgres,
    database: &str,
    cluster: &mut Servers,
    rows: &RowNodes,
    ids: &[String],
) {
    let lost = cluster.kill_some(postgres, database).await;
    let stopped = rows.stop_some();
    let start = Instant::now();
    let survivor = cluster.api(0);
    let of_lost: Vec<&String> = ids.iter().filter(|id| lost.owns(id)).collect();
    assert!(!of_lost.is_empty(), "the killed servers own no sessions");
    eventually(LOSS_DEADLINE, "sessions of lost nodes are gone", || async {
        for id in &of_lost {
            let reply = survivor.execute(id, &json!({ "code": "1" })).await;
            match reply.status {
                410 => {}
                503 => return Err(reply.body.to_string()),
                other => panic!("{other}: {}", reply.body),
            }
        }
        Ok(())
    })
    .await;
    println!(
        "{} sessions of {} servers were lost {:.1} s after the servers",
        of_lost.len(),
        lost.count(),
        start.elapsed().as_secs_f64()
    );
    let state = survivor.status(of_lost[0]).await;
    assert_eq!(state.body["destroyedReason"], "node_lost", "{}", state.body);
    eventually(LOSS_DEADLINE, "all lost nodes are dead", || async {
        let dead = postgres.query(database, "SELECT count(*) FROM nodes WHERE state = 'dead'");
        let expected = (lost.count() + stopped).to_string();
        (dead == expected).then_some(()).ok_or(dead)
    })
    .await;
    let survivors = ids.iter().filter(|id| !lost.owns(id)).step_by(50);
    for id in survivors {
        let code = json!({ "language": "bash", "code": ":" });
        assert_eq!(survivor.execute(id, &code).await.status, 200);
    }
    lost.end().await;
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    format!("p50 {:.0} ms, p99 {:.0} ms", at(50), at(99))
}
