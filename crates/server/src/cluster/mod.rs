//! This server as a node of a cluster, which is the nodes that share one PostgreSQL database.
//!
//! A session lives and ends with the node that created it, its *owner*. Its id contains the number
//! of the owner (`id`), so any node can forward a request to it.
//!
//! A node holds its lease on its sessions as long as the counter in its row of the store moves, its
//! *beat* (`membership`). Every node looks at the others (`looks`), and `referee` decides which of
//! them have lost their lease. Nobody compares the times of two machines. A node that has lost its
//! lease is *fenced*: its sessions have ended for everybody else, so it ends them too.
//!
//! - [`Cluster`] is the handle that the rest of the server uses.
//! - `view` describes the nodes, `standing` what this node knows about its own lease.
//! - `placement` chooses the node that creates a session.
//! - `directory` finds sessions that this node does not have.
//! - `token_keys` derives the tokens of sessions.

mod directory;
mod handle;
mod id;
mod looks;
mod membership;
mod moment;
mod pace;
mod placement;
mod referee;
mod standing;
mod token_keys;
mod view;

pub(crate) use self::directory::{Directory, DirectoryError};
pub(crate) use self::handle::{Cluster, Owner, Registered};
pub(crate) use self::membership::JoinSpec;
pub(crate) use self::moment::Moment;
pub(crate) use self::placement::{Place, plan_placement};
pub(crate) use self::standing::{PeerVerdict, Standing};
pub(crate) use self::token_keys::{DerivedTokens, TokenKeys};
pub(crate) use self::view::{Life, Node, NodeLoad, NodeState, PROTOCOL, View};

#[cfg(test)]
mod tests;
