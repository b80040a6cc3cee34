//! Nodes that end, stop or start again.

use std::time::Duration;

use hearth_test_support::cdp::CdpClient;
use hearth_test_support::{Session, Site, TestCluster, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{cluster_of, owner};
use crate::streaming::events::{Event, Events};

/// The time in which all nodes report a lost session.
const BOUND: Duration = Duration::from_secs(10);

/// The time for processes to end.
const END_BOUND: Duration = Duration::from_secs(10);

/// The error of code whose node is gone.
const GONE: &str = "The machine that ran the session is gone.";

/// Creates a session on node 1, through node 0. Node 2 has the other places.
async fn session_on_first(cluster: &TestCluster) -> Session {
    for _ in 0..4 {
        let session = cluster.api(0).session().await;
        if owner(cluster, &session) == 1 {
            return session;
        }
    }
    panic!("node 1 creates no session");
}

/// Waits until nodes report that a session was lost.
async fn assert_lost(cluster: &TestCluster, session: &Session, nodes: &[usize]) {
    for number in nodes {
        let api = cluster.api(*number);
        eventually(BOUND, "the session is lost", || async {
            let reply = api.execute(session.id(), &json!({"code": "1"})).await;
            match reply.status {
                410 => Ok(()),
                // Until the verdict. A stopped process may have received the request.
                503 => Err(reply.text),
                200 if reply.body["error"] == GONE => Err(reply.text),
                status => panic!("{status}: {}", reply.text),
            }
        })
        .await;
        let status = api.status(session.id()).await.ok();
        assert_eq!(
            (&status["status"], &status["destroyedReason"]),
            (&json!("destroyed"), &json!("node_lost")),
            "{status}"
        );
        let deleted = api.delete(session.id()).await.ok();
        assert_eq!(deleted["sessionDurationMs"], status["sessionDurationMs"]);
    }
}

/// A session with running code and a CDP client, both through node 0.
struct Running {
    session: Session,
    executing: tokio::task::JoinHandle<hearth_test_support::Reply>,
    client: CdpClient,
}

impl Running {
    async fn start(cluster: &TestCluster) -> Running {
        let (session, site) = (session_on_first(cluster).await, Site::start().await);
        let client = CdpClient::connect(&cluster.through(0, session.cdp_url())).await;
        let code = format!("{}; sleep 300", site.bash_signal("begun"));
        let (api, id) = (cluster.api(0), session.id().to_owned());
        let body = json!({"language": "bash", "code": code, "timeout": 300});
        let executing = tokio::spawn(async move { api.execute(&id, &body).await });
        site.signalled("begun").await;
        Running {
            session,
            executing,
            client,
        }
    }

    /// Asserts that code and client have ended as those of a lost session.
    async fn assert_over(self) {
        let reply = self.executing.await.expect("it has not panicked").ok();
        assert_eq!(
            (&reply["exitCode"], &reply["killed"], &reply["error"]),
            (&json!(137), &json!(false), &json!(GONE)),
            "{reply}"
        );
        let frame = self.client.closed(BOUND).await;
        assert_eq!(frame, None, "nobody is left who could say why");
    }
}

#[tokio::test]
async fn sessions_of_a_killed_node_are_lost() {
    let mut cluster = cluster_of(2).await;
    let running = Running::start(&cluster).await;
    let session = running.session.clone();
    let mut killed = cluster.take(1);
    killed.kill_hard().await;
    running.assert_over().await;
    assert_lost(&cluster, &session, &[0, 2]).await;
    killed.assert_nothing_runs(END_BOUND).await;
    cluster.stop().await;
}

#[tokio::test]
async fn events_of_a_killed_node_have_an_end() {
    let mut cluster = cluster_of(2).await;
    let session = session_on_first(&cluster).await;
    let code = "console.log('begun'); await new Promise(() => {})";
    let mut events = Events::of(&cluster.api(0), session.id(), "node", code).await;
    events.until("stdout", "begun\n").await;
    let mut killed = cluster.take(1);
    killed.kill_hard().await;
    let Some(Event { name, data }) = events.next().await else {
        panic!("no event");
    };
    assert_eq!(
        (name.as_str(), &data["exitCode"], &data["error"]),
        ("end", &json!(137), &json!(GONE)),
        "{data}"
    );
    assert_eq!(events.next().await, None);
    killed.assert_nothing_runs(END_BOUND).await;
    cluster.stop().await;
}

#[tokio::test]
async fn sessions_of_a_stopped_node_are_lost() {
    let cluster = cluster_of(2).await;
    let running = Running::start(&cluster).await;
    let session = running.session.clone();
    let stopped = [cluster.node(1).serving_pid(), cluster.node(1).pid()];
    let send = |signal| {
        for pid in &stopped {
            kill(Pid::from_raw(*pid), signal).expect("the process exists");
        }
    };
    send(Signal::SIGSTOP);
    assert_lost(&cluster, &session, &[0, 2]).await;
    running.assert_over().await;
    send(Signal::SIGCONT);
    // The node notices that it was taken for lost, and ends its sessions.
    let node = cluster.node(1);
    eventually(END_BOUND, "nothing of the session is left", || async {
        let dirs = node.session_dirs();
        let processes = node.processes();
        if dirs.is_empty() && processes.is_empty() {
            Ok(())
        } else {
            Err(format!("{dirs:?} {processes:?}"))
        }
    })
    .await;
    cluster.wait_for_nodes(3).await;
    // And creates others.
    let next = cluster.api(1).session().await;
    assert_eq!(next.node("1 + 1").await.ok().result, "2");
    assert_lost(&cluster, &session, &[1]).await;
    cluster.stop().await;
}

#[tokio::test]
async fn sessions_of_an_earlier_process_of_a_node_are_lost() {
    let mut cluster = cluster_of(2).await;
    let running = Running::start(&cluster).await;
    let session = running.session.clone();
    let mut killed = cluster.take(1);
    killed.kill_hard().await;
    cluster.start_node(1).await;
    running.assert_over().await;
    assert_lost(&cluster, &session, &[0, 1, 2]).await;
    killed.assert_nothing_runs(END_BOUND).await;
    cluster.wait_for_nodes(3).await;
    cluster.stop().await;
}
