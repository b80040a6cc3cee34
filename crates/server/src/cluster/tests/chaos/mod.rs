//! The statements of a cluster under faults.
//!
//! Simulated nodes create, save and end sessions in a real database. Meanwhile they are killed and
//! frozen, their connections are cut, and the database is restarted. Triggers record the history of
//! leases and sessions, apart from the statements under test. At the end, [`check`] compares it
//! with what clients were told.

mod check;
mod node;
mod random;
mod relay;
mod world;

use std::sync::Arc;
use std::time::Duration;

use hearth_test_support::TestPostgres;
use tokio::time::{Instant, sleep_until};

use self::check::{History, Violation, check};
use self::node::{NodeSpec, Process};
use self::random::Random;
use self::relay::Relay;
use self::world::World;
use crate::cluster::Moment;
use crate::cluster::referee::{Observed, Referee};
use crate::config::DatabaseUrl;
use crate::store::cluster::MemberConnection;
use crate::store::{Store, StorePlace, Writer};

const NODES: usize = 5;

/// The number of operations in a test.
const OPERATIONS: usize = 600;

/// The number of faults in a test.
const FAULTS: usize = 12;

/// The time limit of a run, for a machine that is busy.
const RUN_TIMEOUT: Duration = Duration::from_secs(110);

/// The time limit for the last observer to end the remaining sessions.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// The variable that makes the test run for longer, in seconds.
const DURATION: &str = "HEARTH_CHAOS_SECONDS";

/// A cluster of simulated nodes.
struct Cluster {
    server: TestPostgres,
    url: String,
    world: Arc<World>,
    nodes: Vec<Process>,
    relays: Vec<Relay>,
    random: Random,
    faults: usize,
    restarts: u64,
}

impl Cluster {
    async fn start(has_fence: bool, seed: u64) -> Cluster {
        println!("seed {seed}");
        let server = TestPostgres::start().await;
        let url = server.create_database();
        open(&url, "setup").await;
        server.query(&url, check::TRIGGERS);
        let world = Arc::new(World::new(has_fence));
        let mut cluster = Cluster {
            url,
            world,
            nodes: Vec::new(),
            relays: Vec::new(),
            random: Random::new(seed),
            faults: 0,
            restarts: 0,
            server,
        };
        for index in 0..NODES {
            cluster
                .relays
                .push(Relay::start(cluster.server.port()).await);
            let process = cluster.spawn(index);
            cluster.nodes.push(process);
        }
        cluster
    }

    fn spawn(&mut self, index: usize) -> Process {
        self.restarts += 1;
        let port = self.relays[index].port();
        let database = self.url.rsplit('/').next().expect("a URL has a path");
        Process::start(NodeSpec {
            name: format!("n{index}"),
            url: format!("postgresql://postgres@127.0.0.1:{port}/{database}"),
            seed: self.random.next() ^ self.restarts,
            world: Arc::clone(&self.world),
        })
    }

    /// Causes a fault, and repairs it.
    async fn disturb(&mut self) {
        let dead = node::DEAD_AFTER;
        let index = self.random.below(NODES);
        let some_time = dead.mul_f64(0.3 + 2.2 * self.random.fraction());
        self.faults += 1;
        match self.random.below(100) {
            0..30 => {
                self.nodes[index].kill();
                if self.random.below(2) == 0 {
                    wait(dead.mul_f64(1.5)).await;
                }
                self.nodes[index] = self.spawn(index);
            }
            30..65 => {
                self.nodes[index].freeze();
                wait(some_time).await;
                self.nodes[index].thaw();
            }
            65..92 => {
                self.relays[index].cut();
                wait(some_time).await;
                self.relays[index].restore();
            }
            _ => self.server.restart().await,
        }
        wait(dead.mul_f64(0.2 + 0.8 * self.random.fraction())).await;
    }

    /// Kills all nodes, lets one more node end what they have left, and returns the violations.
    async fn finish(mut self) -> (Vec<Violation>, Arc<World>) {
        for process in &mut self.nodes {
            process.kill();
        }
        let store = open(&self.url, "last").await;
        let pool = store.postgres().expect("a database");
        let mut connection = MemberConnection::new(pool);
        let mut referee = Referee::new(node::TIMES);
        let deadline = Instant::now() + END_TIMEOUT;
        loop {
            let asked = Moment::now();
            let alive = connection.alive().await.expect("the database answers");
            let beats: Vec<Observed> = alive.iter().map(node::observe).collect();
            for verdict in referee.look("last", &beats, asked, Moment::now()) {
                let counted = connection.declare_dead(&verdict.life, verdict.beat, "last");
                assert!(
                    counted.await.expect("the database answers"),
                    "nobody beats any more"
                );
            }
            if alive.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "nodes stay alive: {alive:?}");
            wait(node::LOOK_EVERY).await;
        }
        let swept = connection.sweep_sessions(crate::clock::now()).await;
        swept.expect("the database answers");
        let history = History::read(&self.server, &self.url);
        let violations = check(&self.world, &history);
        println!(
            "{} faults, {}; {}; {} violations",
            self.faults,
            self.world.summary(),
            history.summary(),
            violations.len()
        );
        (violations, self.world)
    }
}

async fn open(url: &str, node: &str) -> Store {
    open_as(url, node).await.0
}

/// Opens the store as a node, as soon as the database answers.
async fn open_as(url: &str, node: &str) -> (Store, Writer) {
    let url = DatabaseUrl::parse(url).expect("valid");
    loop {
        let place = StorePlace::Database { url: &url, node };
        match Store::open(place).await {
            Ok(opened) => return opened,
            Err(_) => wait(node::LOOK_EVERY).await,
        }
    }
}

async fn wait(duration: Duration) {
    sleep_until(Instant::now() + duration).await;
}

#[expect(clippy::disallowed_methods, reason = "a test may have a variable")]
fn longer() -> Option<Duration> {
    let seconds = std::env::var(DURATION).ok()?;
    Some(Duration::from_secs(
        seconds.parse().expect("a number of seconds"),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_lose_no_session_and_no_saved_profile() {
    let mut cluster = Cluster::start(true, 7).await;
    let began = Instant::now();
    let min = longer().unwrap_or(Duration::ZERO);
    while cluster.world.operations() < OPERATIONS
        || cluster.faults < FAULTS
        || began.elapsed() < min
    {
        assert!(
            began.elapsed() < RUN_TIMEOUT + min,
            "only {} operations: {}",
            cluster.world.operations(),
            cluster.world.summary()
        );
        cluster.disturb().await;
    }
    let (violations, world) = cluster.finish().await;
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(world.has_saved(), "no profile was saved");
}

/// Proves that the test above notices what the fence prevents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_a_frozen_node_overwrites_a_profile() {
    let mut cluster = Cluster::start(false, 11).await;
    let began = Instant::now();
    loop {
        cluster.disturb().await;
        let history = History::read(&cluster.server, &cluster.url);
        let found = check::leases(&cluster.world, &history);
        if !found.is_empty() {
            println!("after {} faults: {:?}", cluster.faults, found[0]);
            break;
        }
        assert!(
            began.elapsed() < RUN_TIMEOUT,
            "no violation without the fence: {}",
            cluster.world.summary()
        );
    }
    for process in &mut cluster.nodes {
        process.kill();
    }
}
