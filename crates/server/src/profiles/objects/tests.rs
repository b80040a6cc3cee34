//! Tests of profiles in object storage, with a real S3-compatible server and a real PostgreSQL. A
//! line of text is the content of a browser's directory.

mod faults;
mod savers;
mod upkeep;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth_browser::CookieJar;
use hearth_contract::ProfileWarning;
use hearth_test_support::{TestBucket, TestPostgres};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::catalog::{ObjectsSpec, ProfileObjects, SaveTimes};
use super::keys::MARK;
use super::lease::ObjectLease;
use crate::config::{CurrentLimits, Limits, ProfileStoreSpec, S3Keys, S3Spec, ZERO_LIMITS};
use crate::metrics::Metrics;
use crate::object_storage::Bucket;
use crate::profiles::checkout::{CheckedOut, CommitError};
use crate::profiles::id::ProfileId;
use crate::store::cluster::{LeaseOwner, ProfileLeases, open_test_database};
use crate::team::Team;

/// The epoch of all nodes.
const EPOCH: i64 = 1;

/// Times that no event of the tests takes, unless a fault lasts.
const TIMES: SaveTimes = SaveTimes {
    wait: Duration::from_mins(1),
    retry: Duration::from_millis(50),
    give_up: Duration::from_mins(10),
};

/// The database and the place for profiles that nodes share.
struct Shared {
    postgres: TestPostgres,
    database: String,
    leases: ProfileLeases,
    place: ProfileStoreSpec,
    s3: Option<TestBucket>,
    dir: TempDir,
}

/// One node.
struct Node {
    name: &'static str,
    dir: TempDir,
    objects: Arc<ProfileObjects>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Shared {
    async fn in_bucket() -> Shared {
        let s3 = TestBucket::start().await;
        let place = ProfileStoreSpec::S3(S3Spec {
            bucket: "hearth".to_owned(),
            prefix: "a/b".to_owned(),
            endpoint: Some(s3.endpoint()),
            region: Some("us-east-1".to_owned()),
            keys: Some(S3Keys {
                access_key_id: "test".to_owned(),
                secret_access_key: "test".to_owned(),
                session_token: None,
            }),
        });
        Shared::new(place, Some(s3)).await
    }

    async fn in_directory() -> Shared {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = ProfileStoreSpec::Dir(dir.path().join("profiles"));
        let mut shared = Shared::new(place, None).await;
        shared.dir = dir;
        shared
    }

    async fn new(place: ProfileStoreSpec, s3: Option<TestBucket>) -> Shared {
        let postgres = TestPostgres::start().await;
        let database = postgres.create_database();
        Shared {
            leases: Box::pin(open_test_database(&database)).await,
            database,
            postgres,
            place,
            s3,
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    fn s3(&self) -> &TestBucket {
        self.s3.as_ref().expect("the profiles are in a bucket")
    }

    fn sql(&self, sql: &str) -> String {
        self.postgres.query(&self.database, sql)
    }

    fn open_bucket(&self) -> Bucket {
        let metrics = Arc::new(Metrics::new("none"));
        Bucket::open(&self.place, None, metrics).expect("valid")
    }

    async fn node(&self, name: &'static str) -> Node {
        let dir = tempfile::tempdir().expect("a temporary directory");
        self.node_with(name, dir, TIMES).await
    }

    async fn node_with(&self, name: &'static str, dir: TempDir, times: SaveTimes) -> Node {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let limits = Limits {
            disk_mb: 64,
            ..ZERO_LIMITS
        };
        let opened = ProfileObjects::open(ObjectsSpec {
            bucket: self.open_bucket(),
            dir: dir.path().join("unsaved"),
            leases: self.leases.clone(),
            limits: CurrentLimits::new(limits),
            metrics: Arc::new(Metrics::new("none")),
            times,
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        Node {
            name,
            dir,
            objects: Box::pin(opened).await.expect("opened"),
            tasks,
            stop,
        }
    }
}

impl Node {
    /// Leases the profile to a new session that saves, as a reservation does.
    async fn try_saver(&self, name: &str) -> Option<ObjectLease> {
        let owner = LeaseOwner {
            session_id: Uuid::now_v7(),
            node: self.name,
            epoch: EPOCH,
        };
        let profile = profile(name);
        let acquiring = self.objects.leases.acquire(&profile.id, owner);
        let lease = acquiring.await.expect("an answer")?;
        Some(self.objects.lease(profile, Some(lease)))
    }

    async fn saver(&self, name: &str) -> ObjectLease {
        self.try_saver(name).await.expect("free")
    }

    fn reader(&self, name: &str) -> ObjectLease {
        self.objects.lease(profile(name), None)
    }

    /// Returns the names and contents of the files that wait.
    fn waiting(&self) -> Vec<String> {
        files(&self.dir.path().join("unsaved"))
    }

    /// Stops the node, as the end of its process does. Returns its directory.
    async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.dir
    }
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("read");
    let mut names: Vec<String> = entries
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("ASCII")
        })
        .collect();
    names.sort();
    names
}

fn team() -> Team {
    Team::from("name:shop")
}

fn profile(name: &str) -> ProfileId {
    ProfileId::new(team(), name.to_owned())
}

fn jar(names: &[&str]) -> CookieJar {
    let cookie = |name: &&str| serde_json::json!({"name": name, "value": "", "domain": "a.example", "path": "/", "secure": false, "httpOnly": false});
    serde_json::from_value(names.iter().map(cookie).collect()).expect("cookies")
}

async fn try_commit(
    lease: &ObjectLease,
    cookies: &[&str],
    content: &str,
) -> Result<(), CommitError> {
    let content = content.to_owned();
    let pack = async |mut file: File| file.write_all(content.as_bytes());
    let committing = lease.commit(jar(cookies), Timestamp::UNIX_EPOCH, pack);
    committing.await
}

async fn commit(lease: &ObjectLease, cookies: &[&str], content: &str) {
    let committed = try_commit(lease, cookies, content).await;
    committed.expect("saved");
}

/// Checks out the profile, as a session would.
async fn checkout_of(lease: &ObjectLease) -> (String, CheckedOut) {
    let mut content = String::new();
    let unpack = async |mut file: File| file.read_to_string(&mut content).map(drop);
    let checked_out = lease.checkout(unpack).await.expect("read");
    (content, checked_out)
}

async fn saved_versions_follow_each_other(shared: Shared) {
    let (one, other) = (shared.node("one").await, shared.node("other").await);
    for (node, content, number) in [(&one, "1", 0), (&other, "2", 1)] {
        let saver = node.saver("p").await;
        assert!(one.try_saver("p").await.is_none(), "the profile is leased");
        assert!(one.try_saver("q").await.is_some(), "another one is free");
        commit(&saver, &["a", "b"][..=number], content).await;
        assert!(node.objects.saving().is_empty());
    }
    for node in [&one, &other] {
        let (content, found) = checkout_of(&node.reader("p")).await;
        assert_eq!((content.as_str(), found.cookies), ("2", jar(&["a", "b"])));
        assert!(found.has_files && !found.replaces_all && found.warning.is_none());
        assert_eq!(node.waiting(), [""; 0]);
        let listed = node.objects.list(&team()).await.expect("listed");
        let listed: Vec<_> = listed
            .iter()
            .map(|item| (&*item.name, item.in_use))
            .collect();
        assert_eq!(listed, [("p", false)]);
    }
    let saver = other.saver("p").await;
    assert!(one.objects.delete(profile("p")).await.is_err(), "in use");
    saver.release().await;
    assert!(
        one.objects
            .list(&Team::from("name:other"))
            .await
            .expect("listed")
            .is_empty()
    );
    one.objects.delete(profile("p")).await.expect("deleted");
    assert_eq!(checkout_of(&other.reader("p")).await.0, "");
    assert!(
        other
            .objects
            .list(&team())
            .await
            .expect("listed")
            .is_empty()
    );
}

#[tokio::test]
async fn saved_versions_follow_each_other_in_a_bucket() {
    Box::pin(saved_versions_follow_each_other(Shared::in_bucket().await)).await;
}

#[tokio::test]
async fn saved_versions_follow_each_other_in_a_directory() {
    Box::pin(saved_versions_follow_each_other(
        Shared::in_directory().await,
    ))
    .await;
}

#[tokio::test]
async fn a_large_profile_is_sent_in_parts() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    // More than two parts.
    let content: Vec<u8> = (0..20_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let pack = async |mut file: File| file.write_all(&content);
    let saver = node.saver("p").await;
    let committed = saver.commit(jar(&[]), Timestamp::UNIX_EPOCH, pack).await;
    committed.expect("saved");
    let mut found = Vec::new();
    let unpack = async |mut file: File| file.read_to_end(&mut found).map(drop);
    node.reader("p").checkout(unpack).await.expect("read");
    assert!(found == content, "{} bytes", found.len());
}

#[tokio::test]
async fn a_profile_beyond_the_disk_limit_is_not_downloaded() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    let content = vec![0; 65 << 20];
    let pack = async |mut file: File| file.write_all(&content);
    let saver = node.saver("p").await;
    let committed = saver.commit(jar(&[]), Timestamp::UNIX_EPOCH, pack).await;
    committed.expect("saved");
    let unpack = async |_: File| unreachable!("it is too large");
    let error = node
        .reader("p")
        .checkout(unpack)
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
}

async fn a_checkpoint_is_void_after_a_commit(shared: Shared) {
    let (one, other) = (shared.node("one").await, shared.node("other").await);
    let saver = one.saver("p").await;
    let checkpoint = async |saver: &ObjectLease, name: &str| {
        let writing = saver.checkpoint(jar(&[name]), Timestamp::UNIX_EPOCH);
        writing.await.expect("written");
    };
    checkout_of(&saver).await;
    checkpoint(&saver, "first").await;
    saver.release().await;
    // The checkpoint is the whole profile.
    let listed = other.objects.list(&team()).await.expect("listed");
    assert_eq!(listed.len(), 1);
    let saver = other.saver("p").await;
    assert_eq!(checkout_of(&saver).await.1.cookies, jar(&["first"]));
    commit(&saver, &["saved"], "x").await;
    let saver = one.saver("p").await;
    assert_eq!(checkout_of(&saver).await.1.cookies, jar(&["saved"]));
    checkpoint(&saver, "later").await;
    assert_eq!(
        checkout_of(&other.reader("p")).await.1.cookies,
        jar(&["saved"]),
        "a running session does not share its cookies"
    );
    // The node is lost.
    saver.release().await;
    for node in [&one, &other] {
        let found = checkout_of(&node.reader("p")).await.1;
        assert_eq!((found.cookies, found.replaces_all), (jar(&["later"]), true));
    }
    let saver = other.saver("p").await;
    checkpoint(&saver, "latest").await;
    saver.release().await;
    one.objects.delete(profile("p")).await.expect("deleted");
    let found = checkout_of(&one.reader("p")).await.1;
    assert_eq!(found.cookies, CookieJar::default());
}

#[tokio::test]
async fn a_checkpoint_is_void_after_a_commit_in_a_bucket() {
    Box::pin(a_checkpoint_is_void_after_a_commit(
        Shared::in_bucket().await,
    ))
    .await;
}

#[tokio::test]
async fn a_checkpoint_is_void_after_a_commit_in_a_directory() {
    Box::pin(a_checkpoint_is_void_after_a_commit(
        Shared::in_directory().await,
    ))
    .await;
}

#[tokio::test]
async fn a_checkpoint_of_a_deleted_profile_stays_void_while_its_object_exists() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    let saver = node.saver("p").await;
    let writing = saver.checkpoint(jar(&["old"]), Timestamp::UNIX_EPOCH);
    writing.await.expect("written");
    saver.release().await;
    let keys = shared.s3().keys().await;
    let [key] = &keys[..] else {
        panic!("one object: {keys:?}");
    };
    let content = shared.s3().read(key).await;
    node.objects.delete(profile("p")).await.expect("deleted");
    // The object storage did not carry out the deletion.
    shared.s3().write(key, content).await;
    for lease in [node.reader("p"), node.saver("p").await] {
        assert_eq!(checkout_of(&lease).await.1.cookies, CookieJar::default());
    }
}

#[tokio::test]
async fn a_damaged_object_is_set_aside_and_a_missing_one_reported_once() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    commit(&node.saver("p").await, &[], "content").await;
    let keys = shared.s3().keys().await;
    let mut content = shared.s3().read(&keys[0]).await;
    content[60] ^= 1;
    shared.s3().write(&keys[0], content).await;
    let unpack = async |_: File| unreachable!("the head is damaged");
    let found = node.reader("p").checkout(unpack).await.expect("read");
    assert_eq!(found.warning, Some(ProfileWarning::Damaged));
    let damaged = format!("a/b/profiles/{}/damaged", profile("p").id);
    assert!(shared.s3().keys().await.contains(&damaged));
    let (content, found) = checkout_of(&node.reader("p")).await;
    assert_eq!((content.as_str(), found.warning), ("", None));

    // The line of versions goes on.
    commit(&node.saver("p").await, &[], "again").await;
    for key in shared.s3().keys().await {
        if !key.ends_with(MARK) {
            shared.s3().delete(&key).await;
        }
    }
    let found = checkout_of(&node.reader("p")).await.1;
    assert_eq!(found.warning, Some(ProfileWarning::Missing));
    assert_eq!(checkout_of(&node.reader("p")).await.1.warning, None);
}

#[tokio::test]
async fn a_directory_that_is_not_mounted_loses_no_profile() {
    let shared = Shared::in_directory().await;
    let node = shared.node("one").await;
    commit(&node.saver("p").await, &[], "content").await;
    let ProfileStoreSpec::Dir(dir) = &shared.place else {
        unreachable!("the profiles are in a directory")
    };
    let away = dir.with_file_name("away");
    std::fs::rename(dir, &away).expect("renamed");
    std::fs::create_dir(dir).expect("made");
    let unpack = async |_: File| Ok(());
    let error = node.reader("p").checkout(unpack).await.expect_err("empty");
    assert!(
        error.to_string().contains("does not contain the profiles"),
        "{error}"
    );
    assert_eq!(node.objects.list(&team()).await.expect("listed").len(), 1);
    let entries = std::fs::read_dir(dir).expect("read").count();
    assert_eq!(entries, 0, "nothing was written");
    std::fs::remove_dir_all(dir).expect("removed");
    std::fs::rename(&away, dir).expect("renamed");
    assert_eq!(checkout_of(&node.reader("p")).await.0, "content");
}

#[tokio::test]
async fn a_read_error_is_not_damage() {
    let shared = Shared::in_directory().await;
    let node = shared.node("one").await;
    commit(&node.saver("p").await, &[], "x").await;
    let failing = async |_: File| Err(ErrorKind::StorageFull.into());
    assert!(node.reader("p").checkout(failing).await.is_err());
    assert_eq!(checkout_of(&node.reader("p")).await.0, "x");
}

#[tokio::test]
async fn a_rejected_version_is_set_aside() {
    let shared = Shared::in_directory().await;
    let node = shared.node("one").await;
    commit(&node.saver("p").await, &[], "x").await;
    let saver = node.saver("p").await;
    checkout_of(&saver).await;
    saver.reject().await.expect("moved aside");
    assert_eq!(checkout_of(&node.reader("p")).await.0, "");
    commit(&saver, &[], "y").await;
    assert_eq!(checkout_of(&node.reader("p")).await.0, "y");
}

#[tokio::test]
async fn a_session_that_fails_to_start_keeps_no_lease() {
    let shared = Shared::in_directory().await;
    let node = shared.node("one").await;
    drop(node.saver("p").await);
    node.tasks.close();
    node.tasks.wait().await;
    assert!(node.try_saver("p").await.is_some());
}
