//! The choice of the node that creates a session.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::response::Response;
use tracing::{Span, field};

use super::access::FromNode;
use super::answer::Task;
use super::forwarding::Forwarding;
use super::owner::NODE;
use crate::cluster::{Node, NodeLoad, NodeState, PROTOCOL, Place, View, plan_placement};
use crate::http::error::{ApiError, is_rejection};
use crate::http::state::AppState;

/// The maximum number of nodes that are asked for one session.
const MAX_PLACES: usize = 3;

/// Creates a session here with `create`, or has another node do so. `parts` and `bytes` are the
/// request as it was received. If one node rejects it, because it is full or not ready, others are
/// asked.
///
/// A creation that has no answer leaves no session, because its caller has gone. So it can be
/// repeated.
pub(crate) async fn place<F>(
    state: &AppState,
    parts: &Parts,
    bytes: Bytes,
    create: impl FnOnce() -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Response, ApiError>>,
{
    let forwarding = state.forwarding();
    let forwarding = forwarding.filter(|_| parts.extensions.get::<FromNode>().is_none());
    let Some(forwarding) = forwarding else {
        drop(bytes);
        return create().await;
    };
    let cluster = &forwarding.cluster;
    let places = plan_places(&cluster.view(), cluster.load());
    let mut create = Some(create);
    let mut rejected = None;
    for place in places {
        let tried = match place {
            Place::Local => match create.take() {
                Some(create) => create().await,
                None => continue,
            },
            Place::Remote(node) => Ok(forwarding.create_on(&node, parts, bytes.clone()).await),
        };
        let status = tried
            .as_ref()
            .map_or_else(ApiError::status, Response::status);
        if !is_rejection(status) {
            return tried;
        }
        // The first node was the best choice, so its reason counts.
        rejected = rejected.or(Some(tried));
    }
    rejected.unwrap_or_else(|| Err(ApiError::LimitReached))
}

/// Returns the nodes to ask, the best one first. Nodes that look full are asked last, because the
/// view is a second or two old.
fn plan_places(view: &View, own: NodeLoad) -> Vec<Place> {
    let mut places = plan_placement(view, own, random_below);
    let is_planned =
        |places: &[Place], node: &Arc<Node>| places.contains(&Place::Remote(Arc::clone(node)));
    for node in view.peers() {
        let is_open = node.state == NodeState::Up && node.protocol == PROTOCOL;
        if places.len() < MAX_PLACES && is_open && !is_planned(&places, node) {
            places.push(Place::Remote(Arc::clone(node)));
        }
    }
    // A node without any places only forwards.
    if own.max_sessions == 0 && places.len() > 1 {
        places.retain(|place| *place != Place::Local);
    }
    places
}

/// Returns a random number below `max`. Without random numbers all nodes make the same choice.
fn random_below(max: usize) -> usize {
    let number = getrandom::u32().unwrap_or(0);
    usize::try_from(number).unwrap_or(0) % max.max(1)
}

impl Forwarding {
    /// Has another node create a session.
    async fn create_on(&self, node: &Node, parts: &Parts, bytes: Bytes) -> Response {
        Span::current().record(NODE, field::display(&node.life.name));
        let mut head = parts.clone();
        head.headers.remove(TRANSFER_ENCODING);
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        let request = Request::from_parts(head, Body::from(bytes));
        let forwarded = self.forward(node, request).await;
        forwarded.unwrap_or_else(|error| Task::Other.answer(error))
    }
}
