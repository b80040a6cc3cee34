//! Profiles of a cluster: nodes with one database and one bucket.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearth_test_support::{
    Api, BucketFault, CLUSTER_KEY, Doctor, Reply, Session, Site, TestBucket, TestCluster,
    TestPostgres, binary, eventually, new_data_dir,
};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::profiles::scenario::{all, keep, kept, nothing, on_page, reading, saving};

/// The time for a node to be declared dead, and for other nodes to notice, with a margin.
const VERDICT: Duration = Duration::from_secs(30);

/// The time for a turn among several savers.
const LONG: Duration = Duration::from_mins(2);

/// Nodes with one bucket.
struct Nodes {
    cluster: TestCluster,
    bucket: TestBucket,
    _dirs: Vec<TempDir>,
}

impl Nodes {
    async fn start(count: usize) -> Nodes {
        Nodes::start_with(count, false).await
    }

    /// Starts nodes. The first one owns no sessions if it is an entry.
    async fn start_with(count: usize, has_entry: bool) -> Nodes {
        let bucket = TestBucket::start().await;
        let settings = bucket.settings();
        let dirs: Vec<TempDir> = (0..count).map(|_| new_data_dir()).collect();
        let paths: Vec<PathBuf> = dirs.iter().map(|dir| dir.path().to_owned()).collect();
        let cluster = TestCluster::start_with(count, move |number, node| {
            let node = if has_entry && number == 0 {
                node.setting("HEARTH_MAX_SESSIONS", "0")
            } else {
                node
            };
            settings
                .iter()
                .fold(node.data_dir(&paths[number]), |node, (variable, value)| {
                    node.setting(variable, value)
                })
        });
        Nodes {
            cluster: cluster.await,
            bucket,
            _dirs: dirs,
        }
    }

    fn api(&self, number: usize) -> Api {
        self.cluster.api(number).with_long_timeout()
    }

    /// Returns the number of the node that has an active session.
    fn owner(&self, session: &Session) -> usize {
        let sql = format!(
            "SELECT node FROM sessions WHERE id = '{}' AND destroyed_reason IS NULL",
            session.id()
        );
        let name = self.cluster.query(&sql);
        let number = name.strip_prefix("node-").expect("an owner");
        number.parse().expect("a number")
    }
}

/// Reads the stores of the profile `p` in a session that only reads it.
async fn saved(api: &Api, site: &Site) -> serde_json::Value {
    let session = api.session_with(&reading("p")).await;
    let found = kept(&session, site).await;
    session.delete().await;
    found
}

/// Creates a session that saves to the profile `p` as soon as no other session does.
async fn saver(api: &Api, deadline: Duration) -> Session {
    let created = tokio::sync::Mutex::new(None);
    eventually(deadline, "the profile is free", || async {
        let reply: Reply = api.create(&saving("p")).await;
        if reply.status == 200 {
            *created.lock().await = Some(reply.ok());
            return Ok(());
        }
        // Another session saves, all places are taken, or a node that is lost was chosen.
        assert!([409, 429, 503].contains(&reply.status), "{reply:?}");
        reply.assert_retry_after();
        Err(reply.error().to_owned())
    })
    .await;
    api.session_of(created.into_inner().expect("created"))
}

#[tokio::test]
async fn a_profile_of_one_node_is_there_on_another() {
    let (nodes, site) = (Nodes::start(2).await, Site::start().await);
    let (on_one, on_other) = (nodes.api(0), nodes.api(1));
    let session = on_one.session_with(&saving("p")).await;
    keep(&session, &site, "first").await;
    let rejection = on_other.create(&saving("p")).await;
    assert_eq!(rejection.status, 409, "{rejection:?}");
    rejection.assert_retry_after();
    let deleted = session.delete().await;
    assert_eq!(deleted.get("warning"), None, "{deleted}");

    let session = on_other.session_with(&saving("p")).await;
    assert_eq!(kept(&session, &site).await, all("first"));
    keep(&session, &site, "second").await;
    assert_eq!(saved(&on_one, &site).await, all("first"));
    let list = on_one.request(Method::GET, "/profiles");
    let listed = on_one.send(list).await.ok();
    assert_eq!(listed["profiles"][0]["name"], "p", "{listed}");
    assert_eq!(listed["profiles"][0]["inUse"], true, "{listed}");
    session.delete().await;
    assert_eq!(saved(&on_one, &site).await, all("second"));

    let delete = on_one.request(Method::DELETE, "/profiles/p");
    on_one.send(delete).await.ok();
    assert_eq!(saved(&on_other, &site).await, nothing());
    nodes.cluster.stop().await;
}

#[tokio::test]
async fn a_profile_waits_on_its_node_while_the_bucket_is_away() {
    let (nodes, site) = (Nodes::start(2).await, Site::start().await);
    let (on_one, on_other) = (nodes.api(0), nodes.api(1));
    for (fault, value) in [
        (BucketFault::Away, "away"),
        (BucketFault::Silent, "silent"),
        (BucketFault::Failing, "failing"),
    ] {
        let session = saver(&on_one, VERDICT).await;
        keep(&session, &site, value).await;
        nodes.bucket.set_fault(Some(fault));
        let deleted = session.delete().await;
        let warning = deleted["warning"].as_str().unwrap_or_default();
        assert!(warning.contains("not saved yet"), "{deleted}");
        let rejection = on_other.create(&saving("p")).await;
        assert_eq!(rejection.status, 409, "{rejection:?}");
        if fault != BucketFault::Silent {
            let unavailable = on_other.create(&reading("p")).await;
            assert!(
                unavailable.status == 503 || value == "away",
                "{unavailable:?}"
            );
            on_other.session().await.delete().await;
        }
        nodes.bucket.set_fault(None);
        let session = saver(&on_other, VERDICT).await;
        assert_eq!(kept(&session, &site).await, all(value));
        session.delete().await;
    }
    nodes.cluster.stop().await;
}

#[tokio::test]
async fn a_profile_waits_in_the_data_directory_across_a_restart() {
    let (mut nodes, site) = (Nodes::start(1).await, Site::start().await);
    let session = nodes.api(0).session_with(&saving("p")).await;
    keep(&session, &site, "kept").await;
    nodes.bucket.set_fault(Some(BucketFault::Away));
    session.delete().await;
    nodes.cluster.take(0).stop().await;
    nodes.bucket.set_fault(None);
    nodes.cluster.start_node(0).await;
    let api = nodes.api(0);
    eventually(VERDICT, "the profile is saved", || async {
        match saved(&api, &site).await {
            found if found == all("kept") => Ok(()),
            found => Err(found.to_string()),
        }
    })
    .await;
    saver(&api, VERDICT).await.delete().await;
    nodes.cluster.stop().await;
}

#[tokio::test]
async fn the_profile_of_a_lost_node_is_free_and_as_it_was_saved_last() {
    let (mut nodes, site) = (Nodes::start(2).await, Site::start().await);
    for value in ["first", "second"] {
        let session = nodes.api(0).session_with(&saving("p")).await;
        keep(&session, &site, value).await;
        if value == "first" {
            session.delete().await;
            continue;
        }
        // Node 0 has not noticed yet that it has room again, so it may have chosen the other one.
        let owner = nodes.owner(&session);
        let mut lost = nodes.cluster.take(owner);
        lost.kill_hard().await;
        let on_other = nodes.api(1 - owner);
        let next = saver(&on_other, VERDICT).await;
        assert_eq!(kept(&next, &site).await, all("first"));
        next.delete().await;
        eventually(
            VERDICT,
            "the session is lost for the other node",
            || async {
                let status = on_other.status(session.id()).await;
                if status.status == 503 {
                    return Err(status.error().to_owned());
                }
                assert_eq!(status.ok()["destroyedReason"], "node_lost");
                Ok(())
            },
        )
        .await;
        lost.assert_nothing_runs(Duration::from_secs(10)).await;
    }
    nodes.cluster.stop().await;
}

/// The time after which a rejected client tries again, if no other client of the test has freed the
/// profile. Constant attempts would take the processors from the session that saves.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The number that the profile's pages have counted to.
const COUNTER: &str = "return Number(localStorage.counter ?? 0)";

/// Counts in the profile `p` until `stop`, and notifies others when the profile is free. Returns
/// each saved count, and the one that it continues.
async fn count(
    api: Api,
    site: Arc<Site>,
    stop: Arc<AtomicBool>,
    freed: Arc<Notify>,
) -> Vec<(u64, u64)> {
    let mut saved = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let next_turn = freed.notified();
        let reply = api.create(&saving("p")).await;
        if reply.status != 200 {
            // Sessions outside of this function, and lost ones, free the profile without notifying.
            let _ = timeout(TRY_AGAIN, next_turn).await;
            continue;
        }
        let session = api.session_of(reply.ok());
        let found = on_page(&session, &site, COUNTER).await.ok().json();
        let found = found.as_u64().expect("a number");
        let next = found + 1;
        on_page(
            &session,
            &site,
            &format!("localStorage.counter = {next}; return 1"),
        )
        .await
        .ok();
        if session.delete().await.get("warning").is_none() {
            saved.push((found, next));
        }
        freed.notify_waiters();
    }
    saved
}

#[tokio::test]
async fn counters_of_many_savers_never_go_back() {
    let mut nodes = Nodes::start_with(3, true).await;
    let site = Arc::new(Site::start().await);
    let stop = Arc::new(AtomicBool::new(false));
    let freed = Arc::new(Notify::new());
    let mut counting = JoinSet::new();
    for _ in 0..4 {
        counting.spawn(count(
            nodes.api(0),
            Arc::clone(&site),
            Arc::clone(&stop),
            Arc::clone(&freed),
        ));
    }
    // A node is lost while one of its sessions has the lease, or is saving.
    let session = saver(&nodes.api(0), LONG).await;
    let script = "localStorage.counter = 1000000; return 1";
    on_page(&session, &site, script).await.ok();
    let before = on_page(&session, &site, COUNTER).await.ok().json();
    assert_eq!(before, json!(1_000_000));
    let owner = nodes.owner(&session);
    let mut lost = nodes.cluster.take(owner);
    lost.kill_hard().await;
    saver(&nodes.api(0), LONG).await.delete().await;
    stop.store(true, Ordering::Relaxed);
    let mut saved: Vec<(u64, u64)> = counting.join_all().await.into_iter().flatten().collect();
    saved.sort_unstable();
    let expected: Vec<(u64, u64)> = (0..saved.len() as u64).map(|n| (n, n + 1)).collect();
    assert_eq!(saved, expected, "each save continues the one before");
    let session = nodes.api(0).session_with(&reading("p")).await;
    let count = on_page(&session, &site, COUNTER).await.ok().json();
    assert_eq!(count, json!(saved.len()));
    session.delete().await;
    lost.assert_nothing_runs(Duration::from_secs(10)).await;
    nodes.cluster.stop().await;
}

#[tokio::test]
async fn profiles_of_a_lost_database_are_recorded_again() {
    let (nodes, site) = (Nodes::start(1).await, Site::start().await);
    let session = nodes.api(0).session_with(&saving("p")).await;
    keep(&session, &site, "kept").await;
    session.delete().await;
    nodes
        .cluster
        .query("DELETE FROM profiles; DELETE FROM profile_leases");
    assert_eq!(saved(&nodes.api(0), &site).await, nothing());

    let mut rebuild = Command::new(binary());
    rebuild
        .args(["store", "rebuild"])
        .env_clear()
        .env("HEARTH_DATABASE_URL", nodes.cluster.database())
        .env("HEARTH_CLUSTER_SECRET", "test-secret".repeat(3))
        .env("HEARTH_API_KEYS", CLUSTER_KEY)
        .env("HEARTH_PUBLIC_URL", "http://127.0.0.1:3010")
        .envs(nodes.bucket.settings());
    for expected in [
        "1 profiles recorded, 0 known",
        "0 profiles recorded, 1 known",
    ] {
        let output = rebuild.output().await.expect("it is built");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains(expected),
            "{output:?}"
        );
    }
    assert_eq!(saved(&nodes.api(0), &site).await, all("kept"));
    nodes.cluster.stop().await;
}

#[tokio::test]
async fn the_doctor_stores_an_object_and_deletes_it() {
    let (postgres, bucket) = tokio::join!(TestPostgres::start(), TestBucket::start());
    let dir = new_data_dir();
    let doctor = || {
        let mut doctor = Doctor::with_data_dir(dir.path())
            .setting("HEARTH_DATABASE_URL", &postgres.url())
            .setting("HEARTH_CLUSTER_SECRET", &"test-secret".repeat(3))
            .setting("HEARTH_API_KEYS", CLUSTER_KEY)
            .setting("HEARTH_PUBLIC_URL", "http://127.0.0.1:3010");
        for (variable, value) in bucket.settings() {
            doctor = doctor.setting(variable, &value);
        }
        doctor
    };
    let fine = doctor().run().await;
    let finding = fine.finding("profile store");
    assert!(finding.text.contains("s3://hearth/test"), "{finding:?}");
    assert_eq!(bucket.keys().await, [""; 0]);
    bucket.set_fault(Some(BucketFault::Failing));
    let failing = doctor().run().await;
    let finding = failing.finding("profile store");
    assert!(finding.text.starts_with("cannot use it: "), "{finding:?}");
    assert_eq!(finding.fixes.len(), 1, "{finding:?}");
}
