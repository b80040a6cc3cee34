//! The parts of the operator page that only a cluster has: the nodes, and the sessions of all of
//! them.

use std::cmp::Reverse;
use std::pin::pin;

use axum::body::Bytes;
use axum::http::request::Parts;
use futures_util::StreamExt;
use hearth_contract::{Listed, OperatorNode, OperatorState};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ended::{MAX_ENDED, describe_ended};
use crate::api_keys::Principal;
use crate::clock;
use crate::cluster::{Cluster, Node};
use crate::http::forward::{Forwarding, gather};
use crate::store::{SessionRecord, StoreError};

/// The maximum number of sessions of other nodes on the page.
const MAX_SESSIONS: usize = 1000;

/// The age of the oldest ended session on the page of a cluster.
const ENDED_KEPT: SignedDuration = SignedDuration::from_hours(1);

/// The part of another node's state that the page of this node shows.
#[derive(Debug, Deserialize)]
struct NodeState {
    sessions: Vec<Map<String, Value>>,
}

/// Adds all nodes of the cluster and the sessions of the other ones to the state of this node. A
/// node that does not answer is listed without its sessions.
pub(super) async fn add_nodes(state: &mut OperatorState, forwarding: &Forwarding, head: &Parts) {
    let cluster = &forwarding.cluster;
    let view = cluster.view();
    let own = view.by_life(&view.own);
    state.nodes.extend(own.map(|node| describe(node, true)));
    for session in &mut state.sessions {
        session.set_node(&view.own.name);
    }
    let mut room = MAX_SESSIONS;
    let mut answers = pin!(gather(forwarding, head));
    while let Some((node, answer)) = answers.next().await {
        let sessions = answer.and_then(|answer| read(&answer));
        state.nodes.push(describe(&node, sessions.is_some()));
        let sessions = sessions.unwrap_or_default().into_iter().take(room);
        let before = state.sessions.len();
        state.sessions.extend(sessions.map(Listed::Other));
        let added = &mut state.sessions[before..];
        room -= added.len();
        for session in added {
            session.set_node(&node.life.name);
        }
    }
    state.nodes.sort_by(|one, other| one.name.cmp(&other.name));
    // The newest first, as on a single server.
    state
        .sessions
        .sort_by_cached_key(|session| Reverse(session.created_at().to_owned()));
}

fn read(answer: &Bytes) -> Option<Vec<Map<String, Value>>> {
    let state: NodeState = serde_json::from_slice(answer).ok()?;
    Some(state.sessions)
}

fn describe(node: &Node, answers: bool) -> OperatorNode {
    OperatorNode {
        name: node.life.name.clone(),
        state: node.state.as_str(),
        ready: node.load.ready,
        sessions: node.load.sessions,
        max_sessions: node.load.max_sessions,
        version: node.version.clone(),
        answers,
    }
}

/// Replaces the ended sessions of this node by those of all nodes, also of lost ones.
pub(super) async fn add_ended(state: &mut OperatorState, cluster: &Cluster, principal: &Principal) {
    match ended(cluster, principal).await {
        Ok(ended) => state.ended = ended.iter().filter_map(describe_ended).collect(),
        Err(error) => tracing::debug!(%error, "ended sessions of the cluster not read"),
    }
}

async fn ended(cluster: &Cluster, principal: &Principal) -> Result<Vec<SessionRecord>, StoreError> {
    let since = clock::now() - ENDED_KEPT;
    let team = match principal {
        Principal::Operator => None,
        Principal::Team(team) => Some(team),
    };
    cluster.sessions().ended(since, team, MAX_ENDED).await
}
