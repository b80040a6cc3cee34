//! The forwarding of requests to the nodes of a cluster that own their sessions.
//!
//! Any node takes any request. The id of a session names its owner, so `owner` forwards the request
//! without asking anybody, before its body is read. The owner checks the key, the body and the
//! tokens as for its own clients, and nothing has to be trusted of the node in between. A node
//! never forwards what another one has forwarded, because the router for nodes has no forwarding.
//!
//! - `owner` is the layer around the routes of a session. `create` chooses the node for a new
//!   session, and `scrape` the one for an interaction with a scrape.
//! - `gather` asks all other nodes for their part of a response.
//! - `forwarding` sends a request to a node, and `lost` notices that the node is gone. `repeat`
//!   sends a request again that does no harm twice. `body`, `event_body` and `tunnel` carry what
//!   follows the response. `answer` is the response for a node that is gone.
//! - `access` is the other end: it accepts connections and requests of nodes only. `known` says
//!   which nodes there are. `verdict` is a question between nodes.

mod access;
mod answer;
mod body;
mod create;
mod event_body;
pub(crate) mod forwarding;
mod gather;
mod known;
mod lost;
mod owner;
mod repeat;
mod scrape;
mod tunnel;
pub(crate) mod verdict;

pub(crate) use self::access::{FromNode, NodeAccess, admit_node};
pub(crate) use self::create::place;
pub(crate) use self::forwarding::{Forwarding, close_idle_connections};
pub(crate) use self::gather::gather;
pub(crate) use self::known::ViewPeers;
pub(crate) use self::owner::to_owner;
pub(crate) use self::scrape::forward_interaction;
pub(crate) use self::verdict::ask_peers;
