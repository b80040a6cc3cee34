//! The choice of the node that creates a session.

use std::sync::Arc;

use super::view::{Node, NodeLoad, NodeState, PROTOCOL, View};

/// The maximum number of nodes that are asked for one session.
const MAX_PLACES: usize = 3;

/// The percentage of free sessions by which another node must be better than this one, because a
/// session on another node costs every request a hop.
const HOP_PERCENT: usize = 10;

/// A node that may create a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This node.
    Local,
    /// Another node.
    Remote(Arc<Node>),
}

/// Returns the nodes to ask for a session, at most three, the best one first. `own` is the current
/// load of this node, and `random` returns a number below its argument.
///
/// Each is the better one of two random nodes, so that many nodes with the same view do not all
/// choose the same one. If no node can take the session, the only place is this node, whose error
/// says why.
pub(crate) fn plan_placement(
    view: &View,
    own: NodeLoad,
    mut random: impl FnMut(usize) -> usize,
) -> Vec<Place> {
    let mut open: Vec<Candidate> = view
        .nodes
        .iter()
        .filter_map(|node| Candidate::of(node, view, own))
        .collect();
    let mut places = Vec::new();
    while places.len() < MAX_PLACES && !open.is_empty() {
        let chosen = choose(&open, &mut random);
        places.push(open.swap_remove(chosen).place);
    }
    if places.is_empty() {
        places.push(Place::Local);
    }
    places
}

/// A node with room for a session.
#[derive(Debug)]
struct Candidate {
    place: Place,
    /// The percentage of its sessions that are free, 1 to 100.
    free_percent: usize,
}

impl Candidate {
    /// Returns the node as a candidate if it can take a session.
    fn of(node: &Arc<Node>, view: &View, own: NodeLoad) -> Option<Candidate> {
        let is_own = node.life == view.own;
        let load = if is_own { own } else { node.load };
        let fits = node.state == NodeState::Up && node.protocol == PROTOCOL && load.ready;
        let free = load.max_sessions.saturating_sub(load.sessions);
        if !fits || free == 0 {
            return None;
        }
        let place = if is_own {
            Place::Local
        } else {
            Place::Remote(Arc::clone(node))
        };
        let free_percent = (free * 100 / load.max_sessions).max(1);
        Some(Candidate {
            place,
            free_percent,
        })
    }
}

/// Returns the index of the better one of two random candidates, or of this node if it is nearly as
/// good.
fn choose(open: &[Candidate], random: &mut impl FnMut(usize) -> usize) -> usize {
    let first = random(open.len()) % open.len();
    let mut best = first;
    if open.len() > 1 {
        let other = (first + 1 + random(open.len() - 1) % (open.len() - 1)) % open.len();
        if open[other].free_percent > open[first].free_percent {
            best = other;
        }
    }
    let local = open.iter().position(|open| open.place == Place::Local);
    local
        .filter(|local| open[*local].free_percent + HOP_PERCENT >= open[best].free_percent)
        .unwrap_or(best)
}
