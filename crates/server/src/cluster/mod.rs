//! This server as a node of a cluster, which is the nodes that share one PostgreSQL database.
//!
//! A session lives and ends with the node that created it, its *owner*. Its id contains the number
//! of the owner (`id`), so any node can forward a request to it.
//!
//! A node holds its lease on its sessions as long as the counter in its row of the store moves, its
//! *beat*. [`Referee`] decides which nodes have lost theirs. Nobody compares the times of two
//! machines.
//!
//! - [`Cluster`] is the handle that the rest of the server uses.
//! - `view` describes the nodes, `standing` what this node knows about its own lease.
//! - `placement` chooses the node that creates a session.

mod handle;
mod id;
mod moment;
mod placement;
mod referee;
mod standing;
mod view;

pub(crate) use self::handle::{Cluster, Owner};
pub(crate) use self::id::{node_number, session_id};
pub(crate) use self::moment::Moment;
pub(crate) use self::placement::{Place, plan_placement};
pub(crate) use self::referee::{Observed, Referee, Verdict};
pub(crate) use self::standing::{PeerVerdict, Standing};
pub(crate) use self::view::{Life, Node, NodeLoad, NodeState, View};

/// The version of the protocol between nodes. A node forwards creations only to nodes that have the
/// same one. Requests about a session are plain HTTP of the public API and need no common version.
pub(crate) const PROTOCOL: u32 = 1;
