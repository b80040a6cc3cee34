//! Servers that share a database.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;

use crate::api::Api;
use crate::eventually::eventually;
use crate::exchange::Exchange;
use crate::postgres::{TestPostgres, free_port};
use crate::server::TestServer;
use crate::server_builder::{CLUSTER_KEY, ServerBuilder};

/// The time until all nodes know each other.
const JOIN_DEADLINE: Duration = Duration::from_secs(20);

/// The first user id of sessions, and their number for each node.
const FIRST_UID: usize = 60706;
const UIDS: usize = 40;

/// Several servers that share a database. They have numbers from 0 on.
#[derive(Debug)]
pub struct TestCluster {
    nodes: Vec<Option<TestServer>>,
    builders: Builders,
    // Ends after the nodes.
    postgres: TestPostgres,
}

/// The settings of the nodes.
struct Builders {
    database: String,
    public_port: u16,
    configure: Box<dyn Fn(usize, ServerBuilder) -> ServerBuilder + Send + Sync>,
}

impl TestCluster {
    /// Starts servers with the defaults.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, |_, node| node).await
    }

    /// Starts servers with other settings: `configure` gets the number of each node.
    pub async fn start_with(
        count: usize,
        configure: impl Fn(usize, ServerBuilder) -> ServerBuilder + Send + Sync + 'static,
    ) -> Self {
        let postgres = TestPostgres::start().await;
        let mut cluster = Self {
            nodes: Vec::new(),
            builders: Builders {
                database: postgres.create_database(),
                public_port: free_port(),
                configure: Box::new(configure),
            },
            postgres,
        };
        for number in 0..count {
            cluster.nodes.push(None);
            cluster.start_node(number).await;
        }
        if cluster.shares_secret() {
            cluster.wait_for_nodes(count).await;
        }
        cluster
    }

    /// Returns false if nodes have different secrets, and so never know each other.
    fn shares_secret(&self) -> bool {
        let numbers = 0..self.nodes.len();
        let secrets = numbers.map(|number| {
            let node = self.builders.build(number);
            node.value("HEARTH_CLUSTER_SECRET").map(str::to_owned)
        });
        secrets.collect::<BTreeSet<_>>().len() <= 1
    }

    /// Returns a running node.
    pub fn node(&self, number: usize) -> &TestServer {
        self.nodes[number].as_ref().expect("the node runs")
    }

    /// Returns a client of a node with a valid key.
    pub fn api(&self, number: usize) -> Api {
        self.node(number).with_key(CLUSTER_KEY)
    }

    /// Returns the database server.
    pub fn postgres(&mut self) -> &mut TestPostgres {
        &mut self.postgres
    }

    /// Returns the URL of the database of the nodes.
    pub fn database(&self) -> &str {
        &self.builders.database
    }

    /// Runs SQL in the database of the nodes. Returns the rows, with `|` between columns.
    pub fn query(&self, sql: &str) -> String {
        self.postgres.query(&self.builders.database, sql)
    }

    /// Returns an address that a session contains, with a node instead of the public origin.
    pub fn through(&self, number: usize, url: &str) -> String {
        let public = format!("127.0.0.1:{}", self.builders.public_port);
        assert!(
            url.contains(&public),
            "{url} is not below the public origin"
        );
        url.replace(&public, self.node(number).address())
    }

    /// Takes a node out of the cluster, for example to kill it.
    pub fn take(&mut self, number: usize) -> TestServer {
        self.nodes[number].take().expect("the node runs")
    }

    /// Starts a node that does not run, with the name that it had.
    pub async fn start_node(&mut self, number: usize) {
        let node = self.builders.build(number).start_alone().await;
        self.nodes[number] = Some(node);
    }

    /// Waits until every running node knows `count` nodes.
    pub async fn wait_for_nodes(&self, count: usize) {
        for node in self.nodes.iter().flatten() {
            wait_for_nodes(&node.with_key(CLUSTER_KEY), count).await;
        }
    }

    /// Stops all nodes, and asserts that they leave nothing behind.
    pub async fn stop(mut self) {
        for node in self.nodes.drain(..).flatten() {
            node.stop().await;
        }
    }
}

impl Builders {
    fn build(&self, number: usize) -> ServerBuilder {
        let node = node_of(&self.database, &format!("node-{number}"), self.public_port);
        let node = node.setting("HEARTH_API_KEYS", CLUSTER_KEY);
        // The public origin leads to the first node.
        let node = if number == 0 {
            node.setting("HEARTH_LISTEN", &format!("127.0.0.1:{}", self.public_port))
        } else {
            node
        };
        // Two servers on one machine must not use the same user ids.
        let first = FIRST_UID + number * UIDS;
        let node = node
            .setting("HEARTH_UIDS", &format!("{first}-{}", first + UIDS - 1))
            .setting("HEARTH_MAX_SESSIONS", "2");
        (self.configure)(number, node)
    }
}

impl std::fmt::Debug for Builders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builders")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Returns the builder of a node, without API keys.
pub(crate) fn node_of(database: &str, name: &str, public_port: u16) -> ServerBuilder {
    with_cluster(TestServer::builder(), database, name, public_port)
}

/// Makes a server a node.
pub(crate) fn with_cluster(
    builder: ServerBuilder,
    database: &str,
    name: &str,
    public_port: u16,
) -> ServerBuilder {
    builder
        .setting("HEARTH_DATABASE_URL", database)
        .setting("HEARTH_CLUSTER_SECRET", &"0123456789abcdef".repeat(2))
        .setting("HEARTH_NODE_NAME", name)
        .setting("HEARTH_PEER_LISTEN", "127.0.0.1:0")
        .setting(
            "HEARTH_PUBLIC_URL",
            &format!("http://127.0.0.1:{public_port}"),
        )
}

/// Waits until a node knows this number of nodes.
pub(crate) async fn wait_for_nodes(api: &Api, count: usize) {
    eventually(JOIN_DEADLINE, "the nodes know each other", || async {
        let request = api.request_outside(Method::GET, "/metrics");
        let text = Exchange::of(request).await.text;
        let line = format!("hearth_cluster_nodes{{state=\"up\"}} {count}");
        if text.lines().any(|other| other == line) {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

/// Returns the new API key of a server, which is then set. Returns none if its settings contain
/// keys.
pub(crate) fn key_of(builder: ServerBuilder) -> (ServerBuilder, Option<String>) {
    let has_keys = ["HEARTH_API_KEYS", "HEARTH_API_KEYS_FILE"]
        .iter()
        .any(|name| builder.value(name).is_some());
    let file = builder.value("HEARTH_ENV_FILE").map(fs::read_to_string);
    let is_in_file = file.is_some_and(|file| file.is_ok_and(|text| text.contains("_API_KEYS")));
    if has_keys || is_in_file {
        // The test sends keys itself.
        return (builder, None);
    }
    let builder = builder.setting("HEARTH_API_KEYS", CLUSTER_KEY);
    (builder, Some(CLUSTER_KEY.to_owned()))
}

/// Values that several tests of one process share.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
