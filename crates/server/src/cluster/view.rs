//! The nodes of the cluster, as this node has seen them last.

use std::net::SocketAddr;
use std::sync::Arc;

use super::moment::Moment;
pub(crate) use crate::store::cluster::{Life, NodeLoad, NodeState};

/// A node that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub life: Life,
    /// 1 to 4095. Part of the ids of its sessions.
    pub number: u16,
    /// The address at which other nodes reach it.
    pub address: SocketAddr,
    /// SHA-256 of its certificate.
    pub fingerprint: [u8; 32],
    /// Proves that a node that knows the cluster's secret has written the fingerprint.
    pub proof: String,
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
}

impl View {
    /// Returns this node, unless its lease has ended.
    pub fn own_node(&self) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.life == self.own)
    }

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
}
