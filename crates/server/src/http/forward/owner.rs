//! The layer that forwards requests about a session to the node that owns it.

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::{Span, field};
use uuid::Uuid;

use super::answer::Task;
use super::repeat::{Failure, Repeated, is_repeatable};
use crate::cluster::{Node, Owner};
use crate::http::auth::authenticate;
use crate::http::extract::keep_connection;
use crate::http::state::AppState;

/// The field of a request's span that names the node to which it was forwarded.
pub(crate) const NODE: &str = "node";

/// Forwards a request if another node owns its session. Requests about unknown ones stay here,
/// because only the store knows what became of them.
pub(crate) async fn to_owner(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(forwarding) = state.forwarding() else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let id = id_in(&mut parts, &state).await;
    let owner = id.map(|id| (id, forwarding.cluster.owner(id)));
    let Some((id, Owner::Remote(node))) = owner else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    mark(&parts, &state, &node);
    let again = is_repeatable(&parts, &body).then(|| parts.clone());
    let request = Request::from_parts(parts, body);
    let task = Task::of(&request);
    let sent = Instant::now();
    let error = match forwarding.forward(&node, request).await {
        Ok(response) => return task.relay(response),
        Err(error) => error,
    };
    let Some(parts) = again else {
        return task.answer(error);
    };
    let failure = Failure { node, error, sent };
    let find = || match forwarding.cluster.owner(id) {
        Owner::Remote(node) => Some(node),
        Owner::Local | Owner::Unknown => None,
    };
    match Box::pin(forwarding.repeat(find, parts, failure)).await {
        Repeated::Answered(response) => task.relay(response),
        Repeated::Local(parts) => next.run(Request::from_parts(parts, Body::empty())).await,
        Repeated::Failed(error) => task.answer(error),
    }
}

/// Returns the id in the path of a request.
async fn id_in(parts: &mut Parts, state: &AppState) -> Option<Uuid> {
    let names = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let id = names.iter().find(|(name, _)| *name == "id")?.1;
    Uuid::parse_str(id).ok()
}

/// Records the node in the log. Protects the connection of a client with a valid key, although only
/// the owner decides about the request.
fn mark(parts: &Parts, state: &AppState, node: &Node) {
    Span::current().record(NODE, field::display(&node.life.name));
    if authenticate(&state.keys(), &parts.headers).is_ok() {
        keep_connection(parts);
    }
}
