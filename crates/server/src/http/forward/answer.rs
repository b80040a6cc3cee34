//! The answer to a request whose node has not answered.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hearth_contract::{
    DestroyedReason, ExecuteResponse, ExecuteResult, InteractSession, JsonPieces,
};

use super::forwarding::ForwardError;
use crate::http::error::ApiError;

/// The exit code of code that was killed.
const KILLED: i32 = 137;

/// The task of a request, as far as its answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Run code in a session.
    Execute,
    /// Run code in the session of a scrape.
    Interact,
    /// Anything else. Repeating it does no harm.
    Other,
}

impl Task {
    /// Returns what a request asks for.
    pub fn of(request: &Request) -> Task {
        let path = request.extensions().get::<MatchedPath>();
        let path = path.map_or("", MatchedPath::as_str).trim_end_matches('/');
        if request.method() != Method::POST {
            Task::Other
        } else if path.ends_with("/execute") {
            Task::Execute
        } else if path.ends_with("/interact") {
            Task::Interact
        } else {
            Task::Other
        }
    }

    /// Returns the answer. Code that may have started is never answered with an error status,
    /// because clients repeat requests after some.
    pub fn answer(self, error: ForwardError) -> Response {
        match (self, error) {
            (_, ForwardError::NotSent(reason)) => ApiError::NodeUnreachable(reason).into_response(),
            (Task::Other, error) => ApiError::NodeLost(error.to_string()).into_response(),
            (Task::Execute, _) => json(killed().into_json()),
            (Task::Interact, _) => json(InteractSession::default().into_json(killed())),
        }
    }
}

/// Returns the result of code whose session has ended with its node.
fn killed() -> ExecuteResponse {
    ExecuteResponse::from_parts(ExecuteResult {
        exit_code: KILLED,
        error: Some(DestroyedReason::NodeLost.sentence().to_owned()),
        ..ExecuteResult::default()
    })
}

fn json(pieces: JsonPieces) -> Response {
    let text: Vec<u8> = pieces.flatten().collect();
    ([(CONTENT_TYPE, "application/json")], Body::from(text)).into_response()
}
