//! The sessions of a node that starts again, and of one that the database has forgotten.

use std::time::Duration;

use hearth_test_support::{Api, Session, TestCluster, eventually};
use serde_json::json;

use super::owner;
use crate::operator::metrics::metrics;

/// The time for the nodes to learn of a change.
const BOUND: Duration = Duration::from_secs(30);

/// Starts an entry and a node with two places, which are those of the team.
async fn two_nodes() -> TestCluster {
    TestCluster::start_with(2, |number, node| {
        let node = node.setting("HEARTH_TEAM_MAX_SESSIONS", "2");
        match number {
            0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
            _ => node,
        }
    })
    .await
}

/// Creates a session as soon as there is a place for it.
async fn next_session(api: &Api) -> Session {
    let created = std::cell::RefCell::new(None);
    eventually(BOUND, "a place is free", || async {
        let reply = api.create(&json!({})).await;
        if reply.status == 200 {
            created.replace(Some(reply.ok()));
            return Ok(());
        }
        assert!([429, 503].contains(&reply.status), "{reply:?}");
        Err(reply.text)
    })
    .await;
    api.session_of(created.into_inner().expect("created"))
}

/// Waits until a node reports that a session has ended for this reason.
async fn has_ended(api: &Api, session: &Session, reason: &str) {
    eventually(BOUND, "the session has ended", || async {
        let reply = api.status(session.id()).await;
        if reply.status == 200 && reply.body["destroyedReason"] == reason {
            return Ok(());
        }
        Err(reply.text)
    })
    .await;
}

/// Returns the number of sessions that have not ended, by their owner.
fn open_sessions(cluster: &TestCluster) -> String {
    let sql = "SELECT s.node || CASE WHEN n.epoch = s.epoch THEN '' ELSE ' (earlier)' END, COUNT(*)
               FROM sessions s JOIN nodes n ON n.name = s.node
               WHERE s.destroyed_reason IS NULL GROUP BY 1 ORDER BY 1";
    cluster.query(sql)
}

#[tokio::test]
async fn a_node_that_starts_again_has_none_of_its_former_sessions() {
    let mut cluster = two_nodes().await;
    let entry = cluster.api(0);
    let former = [entry.session().await, entry.session().await];
    assert_eq!(entry.create(&json!({})).await.status, 429);
    assert_eq!(open_sessions(&cluster), "node-1|2");
    let mut killed = cluster.take(1);
    killed.kill_hard().await;
    cluster.start_node(1).await;
    killed.assert_nothing_runs(BOUND).await;

    // Their places are free again, in the team's limit and on the node.
    let current = [next_session(&entry).await, next_session(&entry).await];
    assert_eq!(entry.create(&json!({})).await.status, 429);
    for session in &current {
        assert_eq!(owner(&cluster, session), 1);
        assert_eq!(session.node("6 * 7").await.ok().result, "42");
    }
    for session in &former {
        for number in [0, 1] {
            has_ended(&cluster.api(number), session, "node_lost").await;
        }
        assert!(current.iter().all(|other| other.id() != session.id()));
        assert_eq!(entry.delete(session.id()).await.status, 200);
    }
    assert_eq!(open_sessions(&cluster), "node-1|2");
    let counted = metrics(&cluster.api(1)).await;
    assert_eq!(
        (
            counted["hearth_sessions_adopted_total"].to_string(),
            counted["hearth_sessions{state=\"active\"}"].to_string(),
        ),
        ("0".to_owned(), "2".to_owned())
    );
    cluster.stop().await;
}

#[tokio::test]
async fn sessions_that_the_database_has_forgotten_are_recorded_once() {
    let cluster = two_nodes().await;
    let entry = cluster.api(0);
    let (kept, ended) = (entry.session().await, entry.session().await);
    // As after the restore of a backup that knows the end of one session, and not the other one.
    cluster.query(&format!(
        "BEGIN;
         DELETE FROM nodes;
         DELETE FROM sessions WHERE id = '{}';
         UPDATE sessions SET destroyed_reason = 'deleted', destroyed_at_ms = created_at_ms + 1000,
             duration_ms = 1000 WHERE id = '{}';
         COMMIT",
        kept.id(),
        ended.id()
    ));
    eventually(BOUND, "the session is recorded again", || async {
        match open_sessions(&cluster).as_str() {
            "node-1|1" => Ok(()),
            found => Err(found.to_owned()),
        }
    })
    .await;
    cluster.wait_for_nodes(2).await;
    assert_eq!(kept.node("6 * 7").await.ok().result, "42");
    // Its owner ends it, and the recorded end stands.
    has_ended(&entry, &ended, "node_lost").await;
    let sql = format!(
        "SELECT destroyed_reason FROM sessions WHERE id = '{}'",
        ended.id()
    );
    assert_eq!(cluster.query(&sql), "deleted");
    let adopted = metrics(&cluster.api(1)).await["hearth_sessions_adopted_total"].to_string();
    assert_eq!(adopted, "1");
    // The place of the one that has ended is free.
    let next = next_session(&entry).await;
    assert_eq!(next.node("6 * 7").await.ok().result, "42");
    kept.delete().await;
    kept.assert_destroyed("deleted").await;
    cluster.stop().await;
}
