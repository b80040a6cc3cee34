//! The commands for nodes, and what nodes know about the sessions of others.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::cell::RefCell;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::{Exchange, Session, TestCluster, binary, eventually};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use super::{cluster_of, owner};
use crate::operator::metrics::metrics;

/// The time for nodes to learn of a change.
const BOUND: Duration = Duration::from_secs(20);

/// Runs a command with the database of the cluster. Returns its output, or its error.
fn hearth(cluster: &TestCluster, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(binary())
        .args(arguments)
        .env("HEARTH_DATABASE_URL", cluster.database())
        .output()
        .expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Waits until `/readyz` of a node has this status. Returns the response.
async fn readyz(cluster: &TestCluster, number: usize, status: u16) -> Value {
    let found = RefCell::new(Value::Null);
    eventually(BOUND, "the readiness changes", || async {
        let request = cluster.api(number).request_outside(Method::GET, "/readyz");
        let exchange = Exchange::of(request).await;
        if exchange.status == status {
            found.replace(exchange.json());
            Ok(())
        } else {
            Err(exchange.text)
        }
    })
    .await;
    found.into_inner()
}

/// Waits until a metric of a node has this value.
async fn has_metric(cluster: &TestCluster, number: usize, name: &str, value: f64) {
    eventually(BOUND, "the metric changes", || async {
        match metrics(&cluster.api(number)).await[name] {
            found if found == value => Ok(()),
            found => Err(format!("{name} {found}")),
        }
    })
    .await;
}

/// Waits until node 0 knows that the owner of a session has left, and asserts that the session was
/// deleted.
async fn assert_deleted(cluster: &TestCluster, session: &Session) {
    let api = cluster.api(0);
    eventually(BOUND, "the owner has left", || async {
        let reply = api.status(session.id()).await;
        match reply.status {
            200 => Ok(()),
            _ => Err(reply.text),
        }
    })
    .await;
    session.assert_destroyed("deleted").await;
}

#[tokio::test]
async fn a_drained_node_keeps_its_sessions_and_stops_after_the_last_one() {
    let mut cluster = cluster_of(2).await;
    let entry = cluster.api(0);
    let session = entry.session().await;
    let number = owner(&cluster, &session);
    let name = format!("node-{number}");
    let error = hearth(&cluster, &["drain", "node-9"]).expect_err("there is no such node");
    assert!(error.contains("cannot drain node-9: "), "{error}");
    let drained = hearth(&cluster, &["drain", &name]).expect("it is alive");
    assert_eq!(drained, format!("{name} is draining\n"));
    let reasons = readyz(&cluster, number, 503).await;
    assert_eq!(reasons["reasons"], json!(["The node is draining."]));
    readyz(&cluster, 3 - number, 200).await;
    let listed = hearth(&cluster, &["nodes"]).expect("the database answers");
    let row = listed.lines().find(|line| line.starts_with(&name));
    assert!(
        row.expect("it is listed").contains("  draining  "),
        "{listed}"
    );
    // The session goes on, and others are created elsewhere.
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    let other = entry.session().await;
    assert_eq!(owner(&cluster, &other), 3 - number);
    let mut node = cluster.take(number);
    session.delete().await;
    node.ended_by_itself().await;
    assert_deleted(&cluster, &session).await;
    let listed = hearth(&cluster, &["nodes"]).expect("the database answers");
    let row = listed.lines().find(|line| line.starts_with(&name));
    assert!(row.expect("it is listed").contains("  left  "), "{listed}");
    assert_eq!(other.node("6 * 7").await.ok().result, "42");
    cluster.stop().await;
}

#[tokio::test]
async fn a_node_drains_after_a_signal_before_it_ends_sessions() {
    let mut cluster = TestCluster::start_with(2, |number, node| match number {
        0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
        _ => node.setting("HEARTH_DRAIN_SECONDS", "120"),
    })
    .await;
    let session = cluster.api(0).session().await;
    cluster.node(1).signal(Signal::SIGTERM);
    readyz(&cluster, 1, 503).await;
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    let mut node = cluster.take(1);
    session.delete().await;
    node.ended_by_itself().await;
    assert_deleted(&cluster, &session).await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_node_retires_after_its_sessions() {
    let mut cluster = TestCluster::start_with(2, |number, node| match number {
        0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
        _ => node.setting("HEARTH_RETIRE_AFTER_SESSIONS", "1"),
    })
    .await;
    let session = cluster.api(0).session().await;
    readyz(&cluster, 1, 503).await;
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    let mut node = cluster.take(1);
    session.delete().await;
    node.ended_by_itself().await;
    cluster.stop().await;
}

#[tokio::test]
async fn every_node_lists_the_sessions_of_all_nodes() {
    let cluster = cluster_of(2).await;
    let mut created = Vec::new();
    for _ in 0..3 {
        let reply = cluster.api(0).create(&json!({})).await.ok();
        created.push(reply);
    }
    let ended = created.remove(0);
    let id = |session: &Value| session["id"].as_str().expect("an id").to_owned();
    cluster.api(1).delete(&id(&ended)).await.ok();
    for number in 0..3 {
        let api = cluster.api(number);
        let listed = api.list("?status=active").await.ok();
        let listed = listed["sessions"].as_array().expect("a list").clone();
        assert_eq!(listed.len(), 2, "{listed:?}");
        // The newest is the first.
        for (listed, created) in listed.iter().rev().zip(&created) {
            for key in ["id", "cdpUrl", "liveViewUrl", "interactiveLiveViewUrl"] {
                assert_eq!(listed[key], created[key], "{key} of node {number}");
            }
            assert_eq!(listed["streamWebView"], json!(true));
        }
        let destroyed = api.list("?status=destroyed").await.ok();
        assert_eq!(destroyed["sessions"][0]["id"], ended["id"]);
        let check = api.request_outside(Method::GET, "/v2/concurrency-check");
        let counted = api.send(check).await.ok();
        assert_eq!(
            (&counted["concurrency"], &counted["maxConcurrency"]),
            (&json!(2), &json!(4)),
            "{counted}"
        );
    }
    cluster.stop().await;
}

#[tokio::test]
async fn fifty_creations_at_once_on_three_nodes_make_the_seven_sessions_of_a_team() {
    let cluster = TestCluster::start_with(3, |_, node| {
        node.setting("HEARTH_TEAM_MAX_SESSIONS", "7")
            .setting("HEARTH_MAX_SESSIONS", "20")
    })
    .await;
    let apis = [0, 1, 2].map(|number| cluster.api(number).with_long_timeout());
    let body = json!({});
    let creating = (0..50).map(|number| apis[number % 3].create(&body));
    let replies = join_all(creating).await;
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (7, 43), "{statuses:?}");
    let sql = "SELECT COUNT(*) FROM sessions WHERE destroyed_reason IS NULL";
    eventually(BOUND, "nothing else has a place", || async {
        match cluster.query(sql).as_str() {
            "7" => Ok(()),
            count => Err(count.to_owned()),
        }
    })
    .await;
    // A place that is given back is free for every node.
    let session = replies.iter().find(|reply| reply.status == 200);
    let id = session.expect("there are seven").body["id"].clone();
    cluster
        .api(2)
        .delete(id.as_str().expect("an id"))
        .await
        .ok();
    cluster.api(1).session().await;
    cluster.stop().await;
}

#[tokio::test]
async fn sessions_go_on_while_the_database_is_away() {
    let mut cluster = TestCluster::start_with(2, |number, node| {
        let max = if number == 0 { "0" } else { "3" };
        node.setting("HEARTH_MAX_SESSIONS", max)
    })
    .await;
    let entry = cluster.api(0);
    let (session, ended) = (entry.session().await, entry.session().await);
    assert_eq!(metrics(&entry).await["hearth_store_up"], 1.0);
    cluster.postgres().stop();
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    let rejected = entry.create(&json!({})).await;
    assert_eq!(rejected.status, 503, "{}", rejected.text);
    let unknown = entry.status("00000000-0000-7000-8000-000000000000").await;
    assert_eq!(unknown.status, 503, "{}", unknown.text);
    assert_eq!(entry.list("").await.status, 503);
    ended.delete().await;
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    has_metric(&cluster, 0, "hearth_store_up", 0.0).await;
    has_metric(&cluster, 1, "hearth_session_ends_delayed", 1.0).await;
    cluster.postgres().restart().await;
    has_metric(&cluster, 0, "hearth_store_up", 1.0).await;
    has_metric(&cluster, 1, "hearth_session_ends_delayed", 0.0).await;
    eventually(BOUND, "the end is recorded", || async {
        let listed = entry.list("?status=destroyed").await;
        match listed.status {
            200 if listed.text.contains(ended.id()) => Ok(()),
            _ => Err(listed.text),
        }
    })
    .await;
    ended.assert_destroyed("deleted").await;
    let found = metrics(&cluster.api(1)).await;
    for statement in ["beat", "look", "reserve", "activate", "write"] {
        let name = format!("hearth_store_seconds_count{{statement=\"{statement}\"}}");
        assert!(found[&name] > 0.0, "{name}");
    }
    let answered = "hearth_peer_seconds_count{outcome=\"answered\"}";
    assert!(metrics(&entry).await[answered] > 0.0);
    let next = entry.session().await;
    assert_eq!(next.node("6 * 7").await.ok().result, "42");
    assert_eq!(session.node("6 * 7").await.ok().result, "42");
    cluster.stop().await;
}
