//! The tracing spans of log lines about sessions. A line is in exactly one span, which names the
//! session and its team.
//!
//! The spans have the level `error`, because a filter must not remove the names from a line that it
//! keeps.

use hearth_contract::Language;
use tracing::field::{Empty, display};
use tracing::{Span, error_span};
use uuid::Uuid;

use crate::team::{Team, display_name};

/// The field of a request's span that names the session.
pub(crate) const SESSION: &str = "session";

/// Returns the span of a session that has no id yet. It has no parent, because it outlives the
/// request that creates the session.
pub(super) fn session_span() -> Span {
    error_span!(parent: None, "session", session = Empty, team = Empty)
}

/// Names the session and its team in the span of a session.
pub(super) fn name_session(span: &Span, id: Uuid, team: &Team) {
    span.record(SESSION, display(id));
    span.record("team", display_name(team));
}

/// Names the team in the current span, which is the request's.
pub(crate) fn record_team(team: &Team) {
    Span::current().record("team", display_name(team));
}

/// Names the session in the current span, which is the request's.
pub(crate) fn record_session(id: Uuid) {
    Span::current().record(SESSION, display(id));
}

/// Names the language of the executed code in the current span, which is the request's.
pub(super) fn record_language(language: Language) {
    Span::current().record("language", language.as_str());
}
