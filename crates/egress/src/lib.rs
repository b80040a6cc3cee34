//! A filtering forward proxy for each session, inside the server's process.
//!
//! If the kernel enforces it, the browser and the code of a session reach other machines only
//! through this proxy. In this crate, `client` means either of them.
//!
//! Modules:
//! - Pure: `authority` parses the target of a request. `policy` decides about it with the tables of
//!   `addresses` and the list of `allow`. `block_list` has the hosts of advertisements, and
//!   `session_rules` what differs between sessions. `denied` explains the decision, `headers`
//!   removes hop-by-hop fields and `upstream` parses the upstream proxy.
//! - State: `cluster_targets` and `self_ports` hold the targets that no setting opens. `connection`
//!   holds the state of the server, of a session's proxy and of a connection. `denials` and `meter`
//!   count.
//! - I/O: `proxy` accepts connections. `forward` handles plain requests and `tunnel` handles
//!   CONNECT. `dial` resolves a name once and connects to exactly the addresses that were checked.
//!   `relay` and `splice` copy bytes. `response` builds the proxy's own responses.
//!
//! This crate must not depend on sessions, on browsers, or on how the kernel enforces the use of
//! the proxy.

#![forbid(unsafe_code)]

mod addresses;
mod allow;
mod authority;
mod block_list;
mod cluster_targets;
mod connection;
mod denials;
mod denied;
mod dial;
mod forward;
mod headers;
mod meter;
mod policy;
mod proxy;
mod relay;
mod resolve;
mod response;
mod self_ports;
mod session_rules;
mod splice;
mod tunnel;
mod upstream;

pub use self::allow::{AllowList, ParseAllowListError};
pub use self::block_list::{BlockList, ParseHostsError};
pub use self::cluster_targets::ClusterTargets;
pub use self::meter::Traffic;
pub use self::policy::{Mode, Policy};
pub use self::proxy::{DenialLookup, Egress, Proxy, SelfPort};
pub use self::resolve::{LookupLimits, Resolve};
pub use self::session_rules::SessionRules;
pub use self::upstream::{ParseUpstreamError, Upstream};
