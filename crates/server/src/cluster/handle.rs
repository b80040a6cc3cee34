//! The handle to the cluster.

use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use super::id::node_number;
use super::moment::Moment;
use super::standing::{Evidence, Standing};
use super::view::{Node, View};

/// This node's part in the cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    view: watch::Receiver<Arc<View>>,
    evidence: watch::Sender<Evidence>,
}

/// The node of a session, by the number in its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This node.
    Local,
    /// Another node that is alive.
    Remote(Arc<Node>),
    /// No node that is alive has the number. Only the store knows more.
    Unknown,
}

impl Cluster {
    /// Returns the nodes as of the last look at the store.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Returns the view and its changes.
    pub fn watch_view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Returns the node that a session's id names. Asks nobody.
    pub fn owner(&self, id: Uuid) -> Owner {
        let Some(number) = node_number(id) else {
            return Owner::Unknown;
        };
        let view = self.view.borrow();
        match view.by_number(number) {
            Some(node) if node.life == view.own => Owner::Local,
            Some(node) => Owner::Remote(Arc::clone(node)),
            None => Owner::Unknown,
        }
    }

    /// Returns what this node knows about its own lease now.
    pub fn standing(&self) -> Standing {
        self.evidence.borrow().standing(Moment::now())
    }
}
