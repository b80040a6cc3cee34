//! A request to all other nodes, each of which answers with its part.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, timeout_at};

use super::forwarding::Forwarding;
use crate::cluster::Node;

/// The time limit for the answers of all nodes.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The maximum size of an answer.
const MAX_ANSWER_BYTES: usize = 2 << 20;

/// The number of nodes that are asked at a time.
const ASKED_AT_A_TIME: usize = 8;

/// Sends a request without a body to all other nodes. Returns each node with its answer, or with
/// none if it did not answer 200 in time. The answers come in any order.
pub(crate) fn gather<'a>(
    forwarding: &'a Forwarding,
    head: &'a Parts,
) -> impl Stream<Item = (Arc<Node>, Option<Bytes>)> + 'a {
    let until = Instant::now() + TIMEOUT;
    let nodes: Vec<Arc<Node>> = forwarding.cluster.view().peers().cloned().collect();
    stream::iter(nodes)
        .map(move |node| async move {
            let asking = Box::pin(ask(forwarding, &node, head));
            let answer = timeout_at(until, asking).await.ok().flatten();
            (node, answer)
        })
        .buffer_unordered(ASKED_AT_A_TIME)
}

async fn ask(forwarding: &Forwarding, node: &Node, head: &Parts) -> Option<Bytes> {
    let mut head = head.clone();
    for header in [CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(header);
    }
    let request = Request::from_parts(head, Body::empty());
    let response = forwarding.forward(node, request).await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    let body = body.collect().await.ok()?;
    Some(body.to_bytes())
}
