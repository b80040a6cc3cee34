//! Cleanup, jobs, and the records of a store that was lost.

use super::*;
use crate::profiles::objects::rebuild_records;

#[tokio::test]
async fn objects_that_no_profile_needs_are_removed() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    for content in ["1", "2", "3"] {
        commit(&node.saver("p").await, &[], content).await;
    }
    let saver = node.saver("q").await;
    let writing = saver.checkpoint(jar(&["a"]), Timestamp::UNIX_EPOCH);
    writing.await.expect("written");
    saver.release().await;
    let orphan = format!("a/b/profiles/{}/checkpoint", "0".repeat(64));
    let foreign = ["a/b/profiles/README", "other"];
    for key in foreign.iter().copied().chain([&*orphan]) {
        shared.s3().write(key, b"x".to_vec()).await;
    }
    let day = Duration::from_hours(24);
    assert_eq!(node.objects.clean(day).await.expect("cleaned"), 0);
    // Two old versions, and a checkpoint without a profile.
    assert_eq!(
        node.objects.clean(Duration::ZERO).await.expect("cleaned"),
        3
    );
    let keys = shared.s3().keys().await;
    assert!(
        foreign
            .iter()
            .all(|key| keys.iter().any(|found| found == key))
    );
    assert_eq!(checkout_of(&node.reader("p")).await.0, "3");
    assert_eq!(checkout_of(&node.reader("q")).await.1.cookies, jar(&["a"]));
    assert_eq!(
        node.objects.clean(Duration::ZERO).await.expect("cleaned"),
        0
    );
}

#[tokio::test]
async fn one_of_many_nodes_gets_a_job() {
    let shared = Shared::in_directory().await;
    for every in [Duration::from_millis(1), Duration::from_hours(1)] {
        let claiming = (0..20).map(|_| shared.leases.claim_job("tidy", every));
        let claimed = futures_util::future::join_all(claiming).await;
        let count = claimed
            .into_iter()
            .filter(|claimed| *claimed.as_ref().expect("an answer"))
            .count();
        // With a short interval it can be due again.
        assert!(
            count == 1 || every < Duration::from_secs(1),
            "{count} of 20"
        );
    }
}

#[tokio::test]
async fn a_lost_store_is_rebuilt_from_the_objects() {
    let shared = Shared::in_bucket().await;
    let node = shared.node("one").await;
    // A head that is longer than the first bytes that are read.
    let names: Vec<String> = (0..2000).map(|number| format!("cookie-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    commit(&node.saver("long").await, &names, "x").await;
    for content in ["1", "2"] {
        commit(&node.saver("p").await, &["a"], content).await;
    }
    commit(&node.saver("damaged").await, &[], "x").await;
    let damaged = format!("a/b/profiles/{}/", profile("damaged").id);
    for key in shared.s3().keys().await {
        if key.starts_with(&damaged) {
            shared.s3().write(&key, b"hearth profile 1".to_vec()).await;
        }
    }
    let before = node.objects.list(&team()).await.expect("listed");
    shared.sql("DELETE FROM profiles; DELETE FROM profile_leases");

    let bucket = shared.open_bucket();
    let rebuilt = rebuild_records(&bucket, &shared.leases)
        .await
        .expect("rebuilt");
    assert_eq!(
        (rebuilt.recorded, rebuilt.known, rebuilt.damaged),
        (2, 0, 1)
    );
    let after = node.objects.list(&team()).await.expect("listed");
    let kept: Vec<_> = before
        .into_iter()
        .filter(|item| item.name != "damaged")
        .collect();
    assert_eq!(after, kept);
    let saver = node.saver("p").await;
    assert_eq!(checkout_of(&saver).await.0, "2");
    commit(&saver, &[], "3").await;
    let rebuilt = rebuild_records(&bucket, &shared.leases)
        .await
        .expect("rebuilt");
    assert_eq!(
        (rebuilt.recorded, rebuilt.known, rebuilt.damaged),
        (0, 2, 1)
    );
    assert_eq!(checkout_of(&node.reader("p")).await.0, "3");

    // A record that was lost alone is recorded again, and the next save continues it.
    shared.sql("DELETE FROM profiles");
    let rebuilt = rebuild_records(&bucket, &shared.leases)
        .await
        .expect("rebuilt");
    assert_eq!((rebuilt.recorded, rebuilt.known), (2, 0));
    commit(&node.saver("p").await, &[], "4").await;
}
