//! The tracing spans of sessions. They put the session id on every log line of a session.
//!
//! The spans have the level `error`, because a filter must not remove the id from a line that it
//! keeps.

use hearth_contract::Language;
use tracing::{Span, error_span};
use uuid::Uuid;

/// Returns the span of a session. It has no parent, because it outlives the request that creates
/// the session.
pub(super) fn session_span(id: Uuid) -> Span {
    error_span!(parent: None, "session", %id)
}

/// Returns a span of a session inside the current span, which is the request's. Log lines in it
/// have both ids.
pub(super) fn session_span_in_request(id: Uuid) -> Span {
    error_span!("session", %id)
}

/// Returns the span of one execution, inside a span of its session and the current request.
pub(super) fn execution_span(session: Uuid, language: Language) -> Span {
    let session = session_span_in_request(session);
    error_span!(parent: &session, "execution", language = language.as_str())
}
