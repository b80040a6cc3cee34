//! Requests that do no harm twice, while nodes end.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearth_test_support::{TestCluster, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use tokio::task::JoinSet;

use super::cluster_of;
use super::load_balancer::LoadBalancer;

const BOUND: Duration = Duration::from_secs(10);

/// A request for a list is longer, and a health check shorter.
const LONG_REQUEST_BYTES: u64 = 64;

#[tokio::test]
async fn no_status_is_lost_while_the_owner_of_a_session_ends() {
    let mut cluster = cluster_of(1).await;
    let (api, session) = (cluster.api(0), cluster.api(0).session().await);
    assert_eq!(session.status().await["status"], "active");
    let is_over = AtomicBool::new(false);
    let reading = async {
        let mut seen = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let status = api.status(session.id()).await.ok();
            let known = ["active", "destroyed"];
            let status = known.into_iter().find(|known| status["status"] == *known);
            let status = status.expect("a known status");
            if seen.last() != Some(&status) {
                seen.push(status);
            }
        }
        seen
    };
    let ending = async {
        let mut node = cluster.take(1);
        node.processes();
        node.signal(Signal::SIGTERM);
        node.ended_by_itself().await;
        cluster.wait_for_nodes(1).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(reading, ending);
    // The session can end before the first request.
    assert!(["active", "destroyed"].ends_with(&seen), "{seen:?}");
    assert!(!seen.is_empty());
    api.delete(session.id()).await.ok();
    cluster.stop().await;
}

/// Returns true if a request waits at a server that does not read it.
fn is_request_waiting(address: &str) -> bool {
    let (_, port) = address.split_once(':').expect("an address with a port");
    let port: u16 = port.parse().expect("a number");
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc is mounted");
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |text: Option<&str>| u64::from_str_radix(text.unwrap_or_default(), 16).ok();
        let local = hex(fields[1].split(':').nth(1));
        let received = hex(fields[4].split(':').nth(1));
        local == Some(u64::from(port)) && received.is_some_and(|bytes| bytes > LONG_REQUEST_BYTES)
    })
}

#[tokio::test]
async fn the_load_balancer_repeats_a_list_that_a_node_lost() {
    let mut cluster = TestCluster::start(2).await;
    let balancer = LoadBalancer::start(&cluster).await;
    let address = cluster.node(1).address().to_owned();
    kill(
        Pid::from_raw(cluster.node(1).serving_pid()),
        Signal::SIGSTOP,
    )
    .expect("the server runs");
    let mut lists = JoinSet::new();
    eventually(BOUND, "a list waits at the stopped node", || {
        let request = balancer.api.request(Method::GET, "");
        lists.spawn(async move { request.send().await.expect("HAProxy answers").status() });
        std::future::ready(if is_request_waiting(&address) {
            Ok(())
        } else {
            Err(String::new())
        })
    })
    .await;
    let mut node = cluster.take(1);
    node.kill_hard().await;
    node.assert_nothing_runs(BOUND).await;
    while let Some(status) = lists.join_next().await {
        assert_eq!(status.expect("it does not panic"), 200);
    }
    balancer.stop().await;
    cluster.stop().await;
}
