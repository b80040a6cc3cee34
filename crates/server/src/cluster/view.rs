//! The nodes of the cluster, as this node has seen them last.

use std::net::SocketAddr;
use std::sync::Arc;

use hearth_peer::{Claim, Fingerprint};

use super::moment::Moment;
use crate::config::ClusterSecrets;
use crate::store::cluster::NodeRecord;
pub(crate) use crate::store::cluster::{Life, NodeLoad, NodeState};

/// The version of the protocol between nodes. A node forwards creations only to nodes that have the
/// same one. Requests about a session are plain HTTP of the public API and need no common version.
pub(crate) const PROTOCOL: u32 = 1;

/// A node that is alive and knows the secret of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub life: Life,
    /// 1 to 4095. Part of the ids of its sessions.
    pub number: u16,
    /// The address at which other nodes reach it.
    pub address: SocketAddr,
    /// The fingerprint of its certificate.
    pub fingerprint: Fingerprint,
    pub state: NodeState,
    pub load: NodeLoad,
    pub protocol: u32,
    /// The version of its executable.
    pub version: String,
}

/// The nodes that are alive, as of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// All nodes that are alive, with this one, by name.
    pub nodes: Vec<Arc<Node>>,
    /// The current life of this node.
    pub own: Life,
    /// The time of the reading.
    pub seen_at: Moment,
    /// A node that registered earlier than this one and has another secret.
    pub stranger: Option<String>,
}

impl Node {
    /// Reads the row of a node. Returns none if it is invalid, or if the node does not know the
    /// secret of the cluster: anyone who can only write into the store must not become a peer.
    pub(super) fn read(record: &NodeRecord, secrets: &ClusterSecrets) -> Option<Node> {
        let (address, fingerprint) = (
            record.address.parse().ok()?,
            record.fingerprint.parse().ok()?,
        );
        let claim = Claim {
            name: &record.life.name,
            epoch: record.life.epoch,
            address,
            fingerprint,
        };
        let accepted: Vec<&[u8]> = secrets.accepted().collect();
        let is_proved = claim.is_proved_by(&accepted, &record.proof);
        is_proved.then(|| Node {
            life: record.life.clone(),
            number: record.number,
            address,
            fingerprint,
            state: record.state,
            load: record.load,
            protocol: record.protocol,
            version: record.version.clone(),
        })
    }
}

impl View {
    /// Returns the other nodes.
    pub fn peers(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().filter(|node| node.life != self.own)
    }

    /// Returns the node that has this number.
    pub fn by_number(&self, number: u16) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.number == number)
    }

    /// Returns the node that lives this life.
    pub fn by_life(&self, life: &Life) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.life == *life)
    }

    /// Returns the number of sessions that the nodes can have at once.
    pub fn max_sessions(&self) -> usize {
        let up = self.nodes.iter().filter(|node| node.state == NodeState::Up);
        up.map(|node| node.load.max_sessions).sum()
    }

    /// Returns the number of nodes in a state.
    pub fn count(&self, state: NodeState) -> usize {
        let in_state = self.nodes.iter().filter(|node| node.state == state);
        in_state.count()
    }
}
