//! Nodes that are replaced one by one while clients work.
//!
//! With `HEARTH_TEST_EARLIER_BINARY` the first nodes are those of an earlier version, and both
//! versions serve side by side for a while. Without it the same version replaces itself.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearth_test_support::{Api, Session, TestCluster, eventually};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use super::load_balancer::LoadBalancer;
use super::owner;

const BOUND: Duration = Duration::from_secs(20);

/// Clients that work during the upgrade.
const CLIENTS: usize = 2;

/// A client that creates sessions, uses and deletes them until it is stopped.
struct Client {
    api: Api,
    stop: Arc<AtomicBool>,
    responses: usize,
    /// Responses with a status other than 200.
    failures: Vec<String>,
}

impl Client {
    async fn run(mut self) -> Client {
        while !self.stop.load(Ordering::Relaxed) {
            let created = self.send(Method::POST, "", &json!({})).await;
            let Some(id) = created["id"].as_str() else {
                continue;
            };
            for _ in 0..3 {
                let code = json!({"language": "bash", "code": "echo 1"});
                let path = format!("/{id}/execute");
                self.send(Method::POST, &path, &code).await;
            }
            self.send(Method::GET, "", &Value::Null).await;
            self.send(Method::DELETE, &format!("/{id}"), &Value::Null)
                .await;
        }
        self
    }

    /// Sends a request as a client does that repeats nothing. Returns the body.
    async fn send(&mut self, method: Method, path: &str, body: &Value) -> Value {
        let mut request = self.api.request(method.clone(), path);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        self.responses += 1;
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                self.failures.push(format!("{method} {path}: {error}"));
                return Value::Null;
            }
        };
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        if status != 200 {
            self.failures
                .push(format!("{method} {path}: {status}: {text}"));
        }
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// Creates a session that a node owns.
async fn session_on(cluster: &TestCluster, balancer: &LoadBalancer, number: usize) -> Session {
    for _ in 0..10 {
        let session = balancer.api.session().await;
        if owner(cluster, &session) == number {
            return session;
        }
        session.delete().await;
    }
    panic!("node {number} creates no session");
}

/// Replaces a node with a new process, while a session on it goes on.
async fn replace(cluster: &mut TestCluster, balancer: &LoadBalancer, number: usize) {
    let session = session_on(cluster, balancer, number).await;
    let mut node = cluster.take(number);
    node.processes();
    node.signal(Signal::SIGTERM);
    eventually(BOUND, "the node drains", || async {
        let request = node.request_outside(Method::GET, "/readyz");
        let status = request.send().await.map(|response| response.status());
        match status {
            Ok(status) if status == 503 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for _ in 0..5 {
        assert_eq!(session.bash("echo 1").await.result, "1");
    }
    session.delete().await;
    node.ended_by_itself().await;
    cluster.start_node(number).await;
    cluster.wait_for_nodes(2).await;
    balancer.wait_for_use(number).await;
}

#[tokio::test]
async fn no_request_fails_while_all_nodes_are_replaced() {
    // HAProxy knows the addresses, so they stay.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = port.local_addr().expect("it is bound").to_string();
    drop(port);
    let earlier = std::env::var_os("HEARTH_TEST_EARLIER_BINARY").map(PathBuf::from);
    let is_upgrade = Arc::new(AtomicBool::new(false));
    let starts_upgraded = Arc::clone(&is_upgrade);
    let mut cluster = TestCluster::start_with(2, move |number, node| {
        let node = node
            .setting("HEARTH_MAX_SESSIONS", "6")
            .setting("HEARTH_DRAIN_SECONDS", "120");
        let node = match &earlier {
            Some(path) if !starts_upgraded.load(Ordering::Relaxed) => node.binary(path),
            _ => node,
        };
        match number {
            0 => node,
            _ => node.setting("HEARTH_LISTEN", &address),
        }
    })
    .await;
    let balancer = LoadBalancer::start(&cluster).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(
                Client {
                    api: balancer.api.clone(),
                    stop: Arc::clone(&stop),
                    responses: 0,
                    failures: Vec::new(),
                }
                .run(),
            )
        })
        .collect();
    is_upgrade.store(true, Ordering::Relaxed);
    for number in [0, 1] {
        replace(&mut cluster, &balancer, number).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let client = client.await.expect("a client does not panic");
        assert!(
            client.failures.is_empty(),
            "of {} responses: {:#?}",
            client.responses,
            client.failures
        );
        assert!(client.responses > 20, "{} responses", client.responses);
    }
    balancer.stop().await;
    cluster.stop().await;
}
