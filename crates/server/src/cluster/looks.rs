//! The looks of this node at all nodes: they update the view, declare nodes dead, and end the
//! sessions of those that are.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::handle::Cluster;
use super::moment::Moment;
use super::pace::{jittered, pause};
use super::referee::{Observed, Referee, RefereeTimes, Verdict};
use super::view::{Life, Node, NodeState, View};
use crate::clock;
use crate::store::StoreError;
use crate::store::cluster::{MemberConnection, NodeRecord};

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The time between two sweeps of the whole cluster. Each node sweeps less often the more nodes
/// there are.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// The time between two deletions of nodes that ended long ago.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// The looks of this node at the others.
#[derive(Debug)]
pub(super) struct Looks {
    cluster: Arc<Cluster>,
    connection: MemberConnection,
    referee: Referee,
    /// Nodes without a valid proof that were logged.
    unproved: HashSet<Life>,
    next_sweep: Moment,
    next_forget: Moment,
}

impl Looks {
    pub fn new(cluster: Arc<Cluster>, connection: MemberConnection) -> Looks {
        let now = Moment::now();
        Looks {
            cluster,
            connection,
            referee: Referee::new(RefereeTimes::STANDARD),
            unproved: HashSet::new(),
            next_sweep: now,
            next_forget: now.after(jittered(FORGET_EVERY)),
        }
    }

    /// Looks at all nodes about once a second, as the node that lives `own`.
    pub async fn run(&mut self, own: &Life) -> Infallible {
        let never_notified = Notify::new();
        loop {
            if let Err(error) = self.look(own).await {
                // The beat logs that the store is away.
                tracing::debug!(%error, "look at the nodes failed");
            }
            pause(jittered(LOOK_EVERY), &never_notified).await;
        }
    }

    async fn look(&mut self, own: &Life) -> Result<(), StoreError> {
        let asked = Moment::now();
        let records = self.connection.alive().await?;
        let seen = Moment::now();
        self.publish(own, &records, seen);
        let observed: Vec<Observed> = records
            .iter()
            .map(|record| Observed {
                life: record.life.clone(),
                beat: record.beat,
            })
            .collect();
        let verdicts = self.referee.look(&own.name, &observed, asked, seen);
        for verdict in verdicts {
            if self.declare(own, &verdict).await? {
                // Also the next look sweeps if this one fails.
                self.next_sweep = seen;
            }
        }
        if seen >= self.next_sweep {
            self.sweep().await?;
            let nodes = u32::try_from(records.len()).unwrap_or(u32::MAX).max(1);
            let every = SWEEP_EVERY.saturating_mul(nodes);
            self.next_sweep = Moment::now().after(jittered(every));
        }
        if seen >= self.next_forget {
            self.next_forget = seen.after(jittered(FORGET_EVERY));
            self.connection.forget_ended().await?;
        }
        Ok(())
    }

    /// Replaces the view of the cluster.
    fn publish(&mut self, own: &Life, records: &[NodeRecord], seen: Moment) {
        let mut nodes = Vec::with_capacity(records.len());
        let mut stranger = None;
        for record in records {
            if let Some(node) = Node::read(record, &self.cluster.secrets) {
                nodes.push(Arc::new(node));
                continue;
            }
            // Epochs are times of one clock. Among two secrets, that of the earlier node counts.
            if record.life.epoch < own.epoch {
                stranger = Some(record.life.name.clone());
            }
            if self.unproved.insert(record.life.clone()) {
                tracing::warn!(
                    node = record.life.name,
                    "node ignored: it has another secret (HEARTH_CLUSTER_SECRET)"
                );
            }
        }
        self.unproved
            .retain(|life| records.iter().any(|record| record.life == *life));
        let own_record = records.iter().find(|record| record.life == *own);
        if own_record.is_some_and(|record| record.state == NodeState::Draining) {
            self.cluster.drain();
        }
        if own_record.is_none() {
            // The next beat finds out why.
            self.cluster.beat_now.notify_one();
        }
        let has_peers = records.iter().any(|record| record.life.name != own.name);
        self.cluster.evidence.send_if_modified(|evidence| {
            std::mem::replace(&mut evidence.has_peers, has_peers) != has_peers
        });
        self.cluster.view.send_replace(Arc::new(View {
            nodes,
            own: own.clone(),
            seen_at: seen,
            stranger,
        }));
    }

    /// Ends the lease of a node. Returns true if its beat has not moved since the last look.
    async fn declare(&mut self, own: &Life, verdict: &Verdict) -> Result<bool, StoreError> {
        let Verdict { life, beat } = verdict;
        let is_counted = self.connection.declare_dead(life, *beat, &own.name).await?;
        if is_counted {
            self.cluster.metrics.cluster().declared_dead();
            tracing::warn!(lost = life.name, epoch = life.epoch, "node declared dead");
        }
        Ok(is_counted)
    }

    /// Ends the sessions of nodes that are not alive.
    async fn sweep(&mut self) -> Result<(), StoreError> {
        let lost = self.connection.sweep_sessions(clock::now()).await?;
        if !lost.is_empty() {
            tracing::warn!(
                sessions = lost.len(),
                lost = lost[0].owner.name,
                "sessions of a lost node ended"
            );
        }
        self.cluster.swept.notify_one();
        Ok(())
    }
}
