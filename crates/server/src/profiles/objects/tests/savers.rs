//! Many sessions on three nodes that save to one profile, while nodes are declared dead.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::*;

/// Clients per node, and the saves of each.
const CLIENTS: usize = 3;
const SAVES: usize = 7;

/// The response to a session that saved.
#[derive(Debug)]
struct Told {
    /// The content that it started with, and the one that it saved.
    from: String,
    to: String,
    is_saved: bool,
}

/// Saves to the profile again and again, as clients of one node do. Every third session loses its
/// lease before or while it commits.
async fn save_often(node: Arc<Node>, lost: Arc<AtomicUsize>) -> Vec<Told> {
    let mut told = Vec::new();
    while told.len() < SAVES {
        let Some(saver) = node.try_saver("p").await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (from, _) = checkout_of(&saver).await;
        let to = Uuid::now_v7().to_string();
        let verdict = async {
            if told.len() % 3 == 2 {
                let released = node.objects.leases.release_stale().await;
                let released = released.expect("an answer");
                lost.fetch_add(usize::from(released > 0), Ordering::Relaxed);
            }
        };
        let (outcome, ()) = tokio::join!(try_commit(&saver, &[], &to), verdict);
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
    let mut newest = "";
    let mut length = 0;
    while let Some(next) = successors.get(newest) {
        newest = next;
        length += 1;
    }
    assert_eq!(length, saved.len(), "saved versions that nobody continued");
    let node = shared.node("reader").await;
    assert_eq!(checkout_of(&node.reader("p")).await.0, newest);
    assert!(length > 0 && lost.load(Ordering::Relaxed) > 0);
}
