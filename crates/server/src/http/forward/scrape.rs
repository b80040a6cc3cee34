//! The choice of the node that answers an interaction with a scrape.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::response::Response;
use tokio::time::Instant;
use tracing::{Span, field};
use uuid::Uuid;

use super::access::FromNode;
use super::answer::Task;
use super::forwarding::Forwarding;
use super::owner::NODE;
use super::repeat::{Failure, Repeated, is_repeatable};
use crate::cluster::{Node, NodeState, Owner};
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Forwards an interaction if another node has the session of the scrape, or has to open it.
/// Returns none if this node answers. `parts` and `bytes` are the request as it was received, and
/// `existing` is the session that it names.
pub(crate) async fn forward_interaction(
    state: &AppState,
    parts: &Parts,
    bytes: Bytes,
    job_id: Uuid,
    existing: Option<&str>,
) -> Result<Option<Response>, ApiError> {
    let forwarding = state.forwarding();
    let forwarding = forwarding.filter(|_| parts.extensions.get::<FromNode>().is_none());
    let Some(forwarding) = forwarding else {
        return Ok(None);
    };
    let bound = state.scrapes().bound(job_id).await?;
    let existing = existing.and_then(|id| Uuid::parse_str(id).ok());
    let find = || forwarding.node_of(job_id, bound.or(existing));
    let Some(node) = find() else {
        return Ok(None);
    };
    Span::current().record(NODE, field::display(&node.life.name));
    let mut head = parts.clone();
    head.headers.remove(TRANSFER_ENCODING);
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let body = Body::from(bytes);
    let again = is_repeatable(&head, &body).then(|| head.clone());
    let request = Request::from_parts(head, body);
    let task = Task::of(&request);
    let sent = Instant::now();
    let error = match forwarding.forward(&node, request).await {
        Ok(response) => return Ok(Some(task.relay(response))),
        Err(error) => error,
    };
    let Some(head) = again else {
        return Ok(Some(task.answer(error)));
    };
    let failure = Failure { node, error, sent };
    Ok(
        match Box::pin(forwarding.repeat(find, head, failure)).await {
            Repeated::Answered(response) => Some(task.relay(response)),
            Repeated::Local(_) => None,
            Repeated::Failed(error) => Some(task.answer(error)),
        },
    )
}

impl Forwarding {
    /// Returns another node that answers for a scrape: the owner of its session, the node that has
    /// scraped and may have kept the page, or one that opens the page again. All nodes choose the
    /// same one, so that requests at the same time share one opening.
    fn node_of(&self, job_id: Uuid, session: Option<Uuid>) -> Option<Arc<Node>> {
        for id in session.into_iter().chain([job_id]) {
            match self.cluster.owner(id) {
                Owner::Remote(node) => return Some(node),
                Owner::Local => return None,
                Owner::Unknown => {}
            }
        }
        let view = self.cluster.view();
        let mut open: Vec<&Arc<Node>> = view
            .nodes
            .iter()
            .filter(|node| node.state == NodeState::Up && node.load.max_sessions > 0)
            .collect();
        open.sort_by(|one, other| one.life.name.cmp(&other.life.name));
        let count = u128::try_from(open.len()).unwrap_or(1).max(1);
        let index = usize::try_from(job_id.as_u128() % count).unwrap_or(0);
        let node = open.get(index)?;
        (node.life != view.own).then(|| Arc::clone(node))
    }
}
