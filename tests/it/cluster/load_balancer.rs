//! The load balancer of `docker/compose.cluster.yml`: HAProxy with its configuration.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use hearth_test_support::{Api, CLUSTER_KEY, Session, Site, TestCluster, eventually, repository};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::owner;

/// HAProxy checks the nodes every second, and logs a request when it ends.
const BOUND: Duration = Duration::from_secs(10);

/// HAProxy in front of a cluster of two nodes.
pub(super) struct LoadBalancer {
    pub(super) api: Api,
    dir: TempDir,
    process: Child,
}

impl LoadBalancer {
    /// Starts HAProxy and waits until it uses both nodes.
    pub(super) async fn start(cluster: &TestCluster) -> LoadBalancer {
        let dir = tempfile::tempdir().expect("a directory can be created");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = port.local_addr().expect("it is bound").to_string();
        drop(port);
        let given = fs::read_to_string(repository().join("docker/cluster/haproxy.cfg"));
        let mut text = given.expect("the configuration exists");
        for (from, to) in [
            ("bind :8080", &*format!("bind {address}")),
            ("hearth-1:3010", cluster.node(0).address()),
            ("hearth-2:3010", cluster.node(1).address()),
        ] {
            assert!(text.contains(from), "haproxy.cfg contains {from}");
            text = text.replace(from, to);
        }
        let config = dir.path().join("haproxy.cfg");
        fs::write(&config, text).expect("the directory is writable");
        let log = File::create(dir.path().join("log")).expect("the directory is writable");
        // It ends with the test, even if that is killed.
        let process = Command::new("/usr/bin/setpriv")
            .args(["--pdeathsig", "KILL", "haproxy", "-db", "-f"])
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a descriptor is free"))
            .stdout(log)
            .kill_on_drop(true)
            .spawn()
            .expect("util-linux is installed");
        let balancer = LoadBalancer {
            api: Api::new(format!("http://{address}")).with_key(CLUSTER_KEY),
            dir,
            process,
        };
        for number in [0, 1] {
            balancer.wait_for_use(number).await;
        }
        balancer
    }

    /// Waits until HAProxy sends another request that names no session to a node.
    pub(super) async fn wait_for_use(&self, number: usize) {
        let server = format!("nodes/hearth-{}", number + 1);
        let before = self.requests_to(&server);
        eventually(BOUND, "HAProxy uses the node", || async {
            let request = self.api.request_outside(Method::GET, "/health");
            let _ = request.send().await;
            if self.requests_to(&server) > before {
                Ok(())
            } else {
                Err(self.log())
            }
        })
        .await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).expect("the log exists")
    }

    /// Returns the number of logged requests to a server of a back end, such as `owners/hearth-1`.
    fn requests_to(&self, server: &str) -> usize {
        // Lines about the state of a server have another form.
        let log = self.log();
        let servers = log.lines().map(|line| line.split(' ').nth(3));
        servers.filter(|found| *found == Some(server)).count()
    }

    /// Sends an execution without the checks for responses of a server.
    async fn execute(&self, session: &str, body: &Value) -> (u16, Value) {
        let request = self
            .api
            .request(Method::POST, &format!("/{session}/execute"))
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = request.send().await.expect("HAProxy answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    pub(super) async fn stop(mut self) {
        self.process.kill().await.expect("it is a child");
    }
}

/// Returns the name of a node in the configuration, whose first one has the number 1.
fn server_of(cluster: &TestCluster, session: &Session) -> String {
    format!("owners/hearth-{}", owner(cluster, session) + 1)
}

#[tokio::test]
async fn the_load_balancer_sends_requests_to_owners() {
    let cluster = TestCluster::start(2).await;
    let balancer = LoadBalancer::start(&cluster).await;
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let session = balancer.api.session().await;
        *expected.entry(server_of(&cluster, &session)).or_default() += 4;
        sessions.push(session);
    }
    assert_eq!(expected.len(), 2, "each node has two places for sessions");
    for session in &sessions {
        let api = balancer.api.under("/v2/browser");
        session.bash("echo 1").await;
        session.status().await;
        api.status(session.id()).await.ok();
        api.delete(&session.id().to_uppercase()).await.ok();
    }
    eventually(BOUND, "all requests are logged", || async {
        let found: BTreeMap<String, usize> = expected
            .keys()
            .map(|server| (server.clone(), balancer.requests_to(server)))
            .collect();
        (found == expected)
            .then_some(())
            .ok_or_else(|| format!("{found:?} instead of {expected:?}\n{}", balancer.log()))
    })
    .await;
    balancer.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_request_that_a_node_lost_is_not_repeated() {
    let mut cluster = TestCluster::start(2).await;
    let (balancer, site) = (LoadBalancer::start(&cluster).await, Site::start().await);
    let session = balancer.api.session().await;
    let code = format!("{}; sleep 300", site.bash_signal("begun"));
    let body = json!({"language": "bash", "code": code, "timeout": 300});
    let killed = async {
        site.signalled("begun").await;
        let number = owner(&cluster, &session);
        let mut node = cluster.take(number);
        node.kill_hard().await;
        node.assert_nothing_runs(BOUND).await;
    };
    let ((status, reply), ()) = tokio::join!(balancer.execute(session.id(), &body), killed);
    // Clients of Firecrawl would repeat it after a 502.
    assert_eq!((status, &reply["success"]), (503, &json!(false)), "{reply}");
    let error = reply["error"].as_str().expect("an error");
    assert!(error.contains("may have been processed"), "{error}");
    // The other node answers for the session.
    eventually(BOUND, "the session is lost", || async {
        match balancer.execute(session.id(), &json!({"code": "1"})).await {
            (410, _) => Ok(()),
            (503, reply) => Err(reply.to_string()),
            (status, reply) => panic!("{status}: {reply}"),
        }
    })
    .await;
    balancer.stop().await;
    cluster.stop().await;
}
