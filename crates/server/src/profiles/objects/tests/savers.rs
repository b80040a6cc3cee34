//! Many sessions on three nodes that save to one profile, while nodes are declared dead.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::*;

/// Sessions per node that run at the same time, and in total.
const CLIENTS: usize = 4;
const SESSIONS: usize = 25;

/// What a session was told.
#[derive(Debug)]
struct Told {
    /// The content that it started with, and the one that it saved.
    from: String,
    to: String,
    is_saved: bool,
}

/// Saves to the profile again and again, as clients of one node do.
async fn save_often(node: Arc<Node>, lost: Arc<AtomicUsize>) -> Vec<Told> {
    let mut told = Vec::new();
    for _ in 0..SESSIONS {
        let Some(saver) = node.try_saver("p").await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (from, _) = checkout_of(&saver).await;
        let to = Uuid::now_v7().to_string();
        if told.len() % 3 == 2 {
            // The verdict on the node comes before, during or after the commit.
            let leases = node.objects.leases.clone();
            let lost = Arc::clone(&lost);
            tokio::spawn(async move {
                if leases.release_stale().await.expect("released") > 0 {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let outcome = try_commit(&saver, &[], &to).await;
        saver.release().await;
        let is_saved = match outcome {
            Ok(()) => true,
            Err(CommitError::LeaseLost) => false,
            Err(error) => panic!("{error}"),
        };
        told.push(Told { from, to, is_saved });
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn versions_of_a_profile_are_one_line() {
    let shared = Shared::in_bucket().await;
    let lost = Arc::new(AtomicUsize::new(0));
    let mut saving = JoinSet::new();
    for name in ["one", "two", "three"] {
        let node = Arc::new(shared.node(name).await);
        for _ in 0..CLIENTS {
            saving.spawn(save_often(Arc::clone(&node), Arc::clone(&lost)));
        }
    }
    let told: Vec<Told> = saving.join_all().await.into_iter().flatten().collect();
    let saved: Vec<&Told> = told.iter().filter(|told| told.is_saved).collect();
    let mut successors: BTreeMap<&str, &str> = BTreeMap::new();
    for told in &saved {
        let other = successors.insert(&told.from, &told.to);
        assert_eq!(other, None, "two sessions continued {:?}", told.from);
    }
    let mut last = "";
    let mut length = 0;
    while let Some(next) = successors.get(last) {
        last = next;
        length += 1;
    }
    assert_eq!(length, saved.len(), "saved versions that nobody continued");
    let node = shared.node("reader").await;
    assert_eq!(checkout_of(&node.reader("p")).await.0, last);
    assert!(length > 0 && lost.load(Ordering::Relaxed) > 0);
}
