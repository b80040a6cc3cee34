//! The layer that forwards requests about a session to the node that owns it.

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Span, field};
use uuid::Uuid;

use super::answer::Task;
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
    let owner = id.map_or(Owner::Unknown, |id| forwarding.cluster.owner(id));
    let Owner::Remote(node) = owner else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    mark(&parts, &state, &node);
    let request = Request::from_parts(parts, body);
    let task = Task::of(&request);
    let forwarded = forwarding.forward(&node, request).await;
    forwarded.map_or_else(|error| task.answer(error), |response| task.relay(response))
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
