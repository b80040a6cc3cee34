//! An object storage that is away, silent or broken, and nodes that are lost or restarted.

use hearth_test_support::{BucketFault, eventually};

use super::*;

const DEADLINE: Duration = Duration::from_mins(1);

/// Times of a node that does not wait for the object storage.
const IMPATIENT: SaveTimes = SaveTimes {
    wait: Duration::from_millis(100),
    ..TIMES
};

async fn content_of(node: &Node) -> String {
    checkout_of(&node.reader("p")).await.0
}

/// Waits until nothing of the node is being saved.
async fn until_nothing_is_saving(node: &Node) {
    eventually(DEADLINE, "no profile is being saved", || async {
        match node.objects.saving() {
            saving if saving.is_empty() => Ok(()),
            saving => Err(format!("{saving:?}")),
        }
    })
    .await;
}

/// Stops the node `one` while the profile `p` waits for a bucket with `fault`, which then works
/// again. Returns the directory of the node.
async fn stop_before_upload(shared: &Shared, fault: BucketFault) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let node = shared.node_with("one", dir, IMPATIENT).await;
    let saver = node.saver("p").await;
    shared.s3().set_fault(Some(fault));
    let waiting = try_commit(&saver, &[], "late").await;
    assert!(matches!(waiting, Err(CommitError::Waiting)), "{waiting:?}");
    drop(saver);
    let dir = node.stop().await;
    shared.s3().set_fault(None);
    dir
}

/// Starts the next life of the node `one`, which resumes the save that waits in `dir`.
async fn resume(shared: &Shared, dir: TempDir) -> Node {
    let node = shared.node_with("one", dir, TIMES).await;
    let resumed = node.objects.resume_saves("one", EPOCH + 1).await;
    assert_eq!(resumed.expect("read"), 1);
    node
}

async fn a_profile_waits_for(fault: BucketFault) {
    let shared = Shared::in_bucket().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let node = shared.node_with("one", dir, IMPATIENT).await;
    let other = shared.node("other").await;
    commit(&other.saver("p").await, &[], "old").await;
    let saver = node.saver("p").await;
    assert_eq!(checkout_of(&saver).await.0, "old");
    shared.s3().set_fault(Some(fault));
    let waiting = try_commit(&saver, &[], "new").await;
    assert!(matches!(waiting, Err(CommitError::Waiting)), "{waiting:?}");
    // The end of the session keeps the lease.
    saver.release().await;
    assert_eq!(node.objects.saving().len(), 1);
    assert!(other.try_saver("p").await.is_none());
    assert_eq!(node.waiting().len(), 1);
    shared.s3().set_fault(None);
    until_nothing_is_saving(&node).await;
    assert_eq!(content_of(&other).await, "new");
    assert_eq!(node.waiting(), [""; 0]);
    assert!(other.try_saver("p").await.is_some());
}

#[tokio::test]
async fn a_profile_waits_for_a_bucket_that_is_away() {
    Box::pin(a_profile_waits_for(BucketFault::Away)).await;
}

#[tokio::test]
async fn a_profile_waits_for_a_bucket_that_does_not_respond() {
    Box::pin(a_profile_waits_for(BucketFault::Silent)).await;
}

#[tokio::test]
async fn a_profile_waits_for_a_bucket_that_fails() {
    Box::pin(a_profile_waits_for(BucketFault::Failing)).await;
}

#[tokio::test]
async fn a_bucket_that_is_away_damages_nothing_at_a_checkout() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    commit(&node.saver("p").await, &[], "x").await;
    shared.s3().set_fault(Some(BucketFault::Away));
    let unpack = async |_: File| unreachable!("the bucket is away");
    assert!(node.reader("p").checkout(unpack).await.is_err());
    shared.s3().set_fault(Some(BucketFault::Failing));
    let unpack = async |_: File| unreachable!("the bucket is away");
    assert!(node.reader("p").checkout(unpack).await.is_err());
    shared.s3().set_fault(None);
    assert_eq!(content_of(&node).await, "x");
}

#[tokio::test]
async fn a_profile_that_is_given_up_frees_its_lease_and_is_saved_after_a_restart() {
    let shared = Shared::in_bucket().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let times = SaveTimes {
        give_up: Duration::from_millis(200),
        ..TIMES
    };
    let node = shared.node_with("one", dir, times).await;
    shared.s3().set_fault(Some(BucketFault::Away));
    let given_up = try_commit(&node.saver("p").await, &[], "late").await;
    assert!(
        matches!(given_up, Err(CommitError::Waiting)),
        "{given_up:?}"
    );
    until_nothing_is_saving(&node).await;
    let other = shared.node("other").await;
    other.saver("p").await.release().await;
    assert_eq!(node.waiting().len(), 1);
    let dir = node.stop().await;
    shared.s3().set_fault(None);
    let node = resume(&shared, dir).await;
    eventually(DEADLINE, "the profile is saved", || async {
        match content_of(&other).await {
            content if content == "late" => Ok(()),
            content => Err(content),
        }
    })
    .await;
    until_nothing_is_saving(&node).await;
    assert_eq!(node.waiting(), [""; 0]);
    assert!(other.try_saver("p").await.is_some());
}

#[tokio::test]
async fn a_stopped_node_leaves_its_profile_for_its_next_life() {
    let shared = Shared::in_bucket().await;
    let dir = stop_before_upload(&shared, BucketFault::Silent).await;
    // Its lease ends with its life, which the store knows nothing about.
    assert_eq!(shared.leases.release_stale().await.expect("released"), 1);
    let node = resume(&shared, dir).await;
    eventually(DEADLINE, "the profile is saved", || async {
        match content_of(&node).await {
            content if content == "late" => Ok(()),
            content => Err(content),
        }
    })
    .await;
}

#[tokio::test]
async fn a_profile_is_outdated_if_another_session_has_saved() {
    let shared = Shared::in_bucket().await;
    let dir = stop_before_upload(&shared, BucketFault::Away).await;
    assert_eq!(shared.leases.release_stale().await.expect("released"), 1);
    let other = shared.node("other").await;
    commit(&other.saver("p").await, &[], "newer").await;
    let node = resume(&shared, dir).await;
    let outdated = format!("{}.outdated", profile("p").id);
    eventually(DEADLINE, "the file is moved aside", || async {
        match node.waiting() {
            files if files == [outdated.as_str()] => Ok(()),
            files => Err(format!("{files:?}")),
        }
    })
    .await;
    until_nothing_is_saving(&node).await;
    assert_eq!(content_of(&node).await, "newer");
    assert!(node.try_saver("p").await.is_some());
}

#[tokio::test]
async fn a_node_that_was_declared_dead_saves_nothing() {
    let shared = Shared::in_bucket().await;
    let (lost, other) = (shared.node("lost").await, shared.node("other").await);
    let zombie = lost.saver("p").await;
    assert_eq!(shared.leases.release_stale().await.expect("released"), 1);
    let saver = other.saver("p").await;
    let rejected = try_commit(&zombie, &[], "zombie").await;
    assert!(
        matches!(rejected, Err(CommitError::LeaseLost)),
        "{rejected:?}"
    );
    let cookies = jar(&["zombie"]);
    let writing = zombie.checkpoint(cookies.clone(), Timestamp::UNIX_EPOCH);
    writing.await.expect("it has no lease any more");
    assert_eq!(shared.s3().keys().await, [format!("a/b/{MARK}")]);
    commit(&saver, &[], "right").await;
    assert_eq!(content_of(&lost).await, "right");

    let zombie = lost.saver("p").await;
    assert_eq!(shared.leases.release_stale().await.expect("released"), 1);
    commit(&other.saver("p").await, &[], "newer").await;
    let writing = zombie.checkpoint(cookies, Timestamp::UNIX_EPOCH);
    writing.await.expect_err("another session has saved");
    let rejected = try_commit(&zombie, &[], "zombie").await;
    assert!(
        matches!(rejected, Err(CommitError::LeaseLost)),
        "{rejected:?}"
    );
    zombie.release().await;
    assert_eq!(content_of(&lost).await, "newer");
    assert_eq!(lost.waiting(), [""; 0]);
}

#[tokio::test]
async fn a_lease_that_the_store_has_forgotten_is_taken_again() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    let owner = |session_id| LeaseOwner {
        session_id,
        node: "one",
        epoch: EPOCH + 1,
    };
    let id = profile("p").id;
    let session_of = || {
        let sql = format!("SELECT session_id FROM profile_leases WHERE profile_id = '{id}'");
        Uuid::parse_str(&shared.sql(&sql)).expect("a session")
    };
    commit(&node.saver("p").await, &[], "old").await;
    let saver = node.saver("p").await;
    let session_id = session_of();
    shared.sql("DELETE FROM profile_leases");
    assert!(saver.reacquire(owner(session_id)).await.expect("an answer"));
    assert_eq!(session_of(), session_id);
    commit(&saver, &[], "new").await;
    assert_eq!(content_of(&node).await, "new");

    let saver = node.saver("p").await;
    let session_id = session_of();
    assert_eq!(shared.leases.release_stale().await.expect("released"), 1);
    commit(&node.saver("p").await, &[], "newer").await;
    assert!(!saver.reacquire(owner(session_id)).await.expect("an answer"));
    commit(&saver, &[], "lost").await;
    assert_eq!(content_of(&node).await, "newer");
}

#[tokio::test]
async fn a_node_releases_leases_that_it_does_not_know() {
    let shared = Shared::in_directory().await;
    let node = shared.node("one").await;
    let (known, unknown) = (node.saver("known").await, node.saver("unknown").await);
    let new = node.saver("new").await;
    let of_known = format!("profile_id = '{}'", profile("known").id);
    let session = shared.sql(&format!(
        "SELECT session_id FROM profile_leases WHERE {of_known}"
    ));
    let session = Uuid::parse_str(&session).expect("a session");
    let new_id = profile("new").id;
    shared.sql(&format!(
        "UPDATE profile_leases SET fence = fence - 61000 WHERE profile_id <> '{new_id}'"
    ));
    let released = shared
        .leases
        .release_unknown("one", EPOCH, &[session])
        .await;
    assert_eq!(released.expect("released"), [profile("unknown").id]);
    let other = shared.leases.release_unknown("other", EPOCH, &[]).await;
    assert_eq!(other.expect("released"), [""; 0]);
    drop((known, unknown, new));
}
