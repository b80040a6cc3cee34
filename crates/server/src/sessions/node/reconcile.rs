//! The comparison of the sessions of a node with those that the store of the cluster has for it.
//!
//! The owner of a session is right about it, except about an end that is recorded. The comparison
//! repairs what a lost reply, a restart or a restored store has left.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hearth_contract::DestroyedReason;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::clock;
use crate::cluster::{Cluster, Life, Registered};
use crate::profiles::ProfileId;
use crate::sessions::registry::Registry;
use crate::sessions::session::Session;
use crate::store::StoreError;
use crate::store::cluster::{LeaseOwner, ProfileLeases};
use crate::team::Team;

/// The time between two comparisons.
const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// The time between two attempts to withdraw sessions that nobody gets, to adopt sessions, or to
/// release leases.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Compares sessions with the store until the task is dropped.
pub(in crate::sessions) async fn reconcile(registry: Arc<Registry>, cluster: Arc<Cluster>) {
    let mut registered = cluster.watch_registered();
    let mut compared: Option<Registered> = registered.borrow_and_update().clone();
    let mut due = Instant::now() + COMPARE_EVERY;
    let reservations = &registry.services.reservations;
    loop {
        tokio::select! {
            () = reservations.abandoned.notified() => {
                if withdraw(&registry, &cluster).await.is_err() {
                    sleep_until(Instant::now() + RETRY_EVERY).await;
                    reservations.abandoned.notify_one();
                }
                continue;
            }
            () = sleep_until(due) => {}
            // A new life has to own the sessions of the process.
            _ = registered.changed() => {}
        }
        registered.mark_unchanged();
        // A node that has lost its lease ends its sessions, and has nothing to compare.
        let current = cluster.current();
        let is_new = current != compared;
        due = Instant::now() + COMPARE_EVERY;
        if let Some(Registered { life, .. }) = &current {
            match compare(&registry, &cluster, life).await {
                Ok(()) => compared = current,
                Err(error) => {
                    tracing::debug!(%error, "sessions not compared with the database");
                    if is_new {
                        due = Instant::now() + RETRY_EVERY;
                    }
                }
            }
        }
    }
}

/// Takes back the places of sessions that nobody gets.
async fn withdraw(registry: &Registry, cluster: &Cluster) -> Result<(), StoreError> {
    let reservations = &registry.services.reservations;
    for (owner, ids) in reservations.to_withdraw() {
        cluster.sessions().withdraw(&owner, &ids).await?;
        reservations.forget(&ids);
    }
    Ok(())
}

/// Records the sessions of this node that the store has forgotten, and ends those of the store that
/// this node does not have.
async fn compare(registry: &Registry, cluster: &Cluster, life: &Life) -> Result<(), StoreError> {
    // Read first, because each of them was recorded before it was active.
    let mut active = registry.active();
    active.retain(|session| session.is_listed());
    let recorded = cluster.sessions().open_of(life).await?;
    let recorded: HashSet<Uuid> = recorded.into_iter().collect();
    let is_missing =
        |session: &&Arc<Session>| session.ending().is_none() && !recorded.contains(&session.id());
    let missing = active.iter().filter(is_missing);
    for session in missing {
        adopt(registry, cluster, life, session).await?;
    }
    let mut known = registry.known_ids();
    let unknown = cluster
        .sessions()
        .end_unknown(life, clock::now(), &known)
        .await?;
    for id in unknown {
        tracing::warn!(
            session = id,
            "session ended in the database, unknown to its node"
        );
    }
    // A session that has ended keeps its lease while its profile is saved.
    known.extend(registry.profiles().saving());
    let leases = ProfileLeases::new(cluster.sessions().database().clone());
    leases
        .release_unknown(&life.name, life.epoch, &known)
        .await?;
    Ok(())
}

/// Releases the leases on profiles of nodes that are not alive, whenever sessions of such nodes
/// were looked for. Repeats it until the store answers.
pub(in crate::sessions) async fn release_leases(cluster: Arc<Cluster>) {
    let leases = ProfileLeases::new(cluster.sessions().database().clone());
    loop {
        cluster.swept().await;
        while let Err(error) = release(&leases).await {
            tracing::debug!(%error, "profile leases not released");
            sleep_until(Instant::now() + RETRY_EVERY).await;
        }
    }
}

async fn release(leases: &ProfileLeases) -> Result<(), StoreError> {
    let count = leases.release_stale().await?;
    if count > 0 {
        tracing::warn!(count, "profile leases of lost nodes released");
    }
    Ok(())
}

/// Records a session again. If the store has recorded its end, it ends here too.
async fn adopt(
    registry: &Registry,
    cluster: &Cluster,
    life: &Life,
    session: &Session,
) -> Result<(), StoreError> {
    let name = session.profile().filter(|_| session.saves_profile());
    let profile = name.map(|name| ProfileId::new(Team::clone(session.team()), name.to_owned()).id);
    let key = cluster.token_keys().current();
    let record = session.stored_record();
    let is_adopted = cluster
        .sessions()
        .adopt(&record, life, key, profile.as_deref())
        .await?;
    if session.ending().is_some() {
        // The end may have been recorded before the adoption.
        registry
            .services
            .store
            .end_session(&session.stored_record())
            .await;
    } else if is_adopted {
        registry.metrics().cluster().adopted();
        session.span.in_scope(|| {
            tracing::warn!("session recorded again, because the database had forgotten it");
        });
        reacquire_lease(life, session).await?;
    } else {
        session.mark_ended(DestroyedReason::NodeLost, None);
    }
    Ok(())
}

/// Takes the lease on the profile of a session again. Without it, the session does not save.
async fn reacquire_lease(life: &Life, session: &Session) -> Result<(), StoreError> {
    let Ok(resources) = session.resources() else {
        return Ok(());
    };
    let owner = LeaseOwner {
        session_id: session.id(),
        node: &life.name,
        epoch: life.epoch,
    };
    if !resources.reacquire_lease(owner).await? {
        let _span = session.span.enter();
        tracing::warn!("profile lease lost, because another session saves to the profile");
    }
    Ok(())
}

impl Registry {
    /// Returns the ids of the sessions that this node creates, has, ends, or has yet to record as
    /// ended.
    fn known_ids(&self) -> Vec<Uuid> {
        let mut known = self.services.reservations.ids();
        known.extend(self.remaining().iter().map(|session| session.id()));
        known.extend(self.services.store.waiting_end_ids());
        known
    }
}
