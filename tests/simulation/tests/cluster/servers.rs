//! Real servers with stub browsers.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::{Api, CLUSTER_KEY, TestPostgres, TestServer, eventually};
use reqwest::Method;
use tempfile::TempDir;

/// Servers that start at the same time.
const STARTS: usize = 4;

/// The time until all servers know each other.
const JOIN_DEADLINE: Duration = Duration::from_secs(30);

/// The time for the processes of a killed server to end.
const END_DEADLINE: Duration = Duration::from_mins(1);

/// The servers of the cluster.
#[derive(Debug)]
pub struct Servers {
    running: Vec<Node>,
    _browser: TempDir,
}

#[derive(Debug)]
struct Node {
    name: String,
    server: TestServer,
}

/// Servers that were killed.
#[derive(Debug)]
pub struct LostServers {
    /// Their numbers, as ids contain them.
    numbers: BTreeSet<String>,
    servers: Vec<TestServer>,
}

impl LostServers {
    /// Returns true if a killed server owns the session.
    pub fn owns(&self, id: &str) -> bool {
        let number = id.get(15..18).unwrap_or_default();
        self.numbers.contains(number)
    }

    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// Waits until no process of them is left.
    pub async fn end(self) {
        for mut server in self.servers {
            server.assert_nothing_runs(END_DEADLINE).await;
        }
    }
}

impl Servers {
    /// Starts `count` servers with room for a fifth more than `sessions`.
    pub async fn start(database: &str, count: usize, sessions: usize, stub: &Path) -> Servers {
        let dir = tempfile::tempdir().expect("a directory can be created");
        // The server recognizes the headless shell by its name.
        let browser = dir.path().join("chromium-headless-shell");
        fs::copy(stub, &browser).expect("cargo has built it");
        for path in [dir.path(), &browser] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))
                .expect("it belongs to this test");
        }
        let max_sessions = (sessions * 6).div_ceil(count * 5);
        let mut running = Vec::new();
        let numbers: Vec<usize> = (1..=count).collect();
        for group in numbers.chunks(STARTS) {
            let starts = group
                .iter()
                .map(|number| start(format!("node-{number}"), database, max_sessions, &browser));
            running.extend(join_all(starts).await);
        }
        let servers = Servers {
            running,
            _browser: dir,
        };
        for number in 0..count {
            servers.wait_until_all_are_known(number).await;
        }
        servers
    }

    /// Waits until a server knows all others.
    async fn wait_until_all_are_known(&self, number: usize) {
        let line = format!(
            "hearth_cluster_nodes{{state=\"up\"}} {}",
            self.running.len()
        );
        eventually(JOIN_DEADLINE, "the servers know each other", || async {
            let request = self.api(number).request_outside(Method::GET, "/metrics");
            let response = request.send().await.expect("the server answers");
            let text = response.text().await.expect("a text");
            if text.contains(&line) {
                Ok(())
            } else {
                Err(text)
            }
        })
        .await;
    }

    /// Returns a client of one of the servers. Successive numbers select all in turn.
    pub fn api(&self, number: usize) -> Api {
        let node = &self.running[number % self.running.len()];
        node.server.with_key(CLUSTER_KEY)
    }

    /// Kills a tenth of the servers, at least one.
    pub async fn kill_some(&mut self, postgres: &TestPostgres, database: &str) -> LostServers {
        let count = (self.running.len() / 10).max(1);
        let killed = self.running.split_off(self.running.len() - count);
        let number = |node: &Node| {
            let sql = format!("SELECT number FROM nodes WHERE name = '{}'", node.name);
            let number = postgres.query(database, &sql);
            format!("{:03x}", number.parse::<u16>().expect("a number"))
        };
        let numbers = killed.iter().map(number).collect();
        let mut servers: Vec<TestServer> = killed.into_iter().map(|node| node.server).collect();
        join_all(servers.iter_mut().map(TestServer::kill_hard)).await;
        LostServers { numbers, servers }
    }

    /// Stops all servers, one after the other.
    pub async fn stop(self) {
        for node in self.running {
            node.server.stop().await;
        }
    }
}

async fn start(name: String, database: &str, max_sessions: usize, browser: &Path) -> Node {
    let server = TestServer::builder()
        .in_cluster(database, &name)
        .setting("HEARTH_MAX_SESSIONS", &max_sessions.to_string())
        .setting("HEARTH_BROWSER", &browser.to_string_lossy())
        .setting("HEARTH_WARM_LANGUAGES", "none")
        .setting("HEARTH_ISOLATION", "none")
        .setting("HEARTH_DANGEROUSLY_ALLOW_UNSANDBOXED_CLUSTER", "true")
        .setting("HEARTH_LOG", "warn")
        .start()
        .await;
    Node { name, server }
}
