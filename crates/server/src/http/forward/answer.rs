//! The answer to a request whose node has not answered.

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_contract::{
    DestroyedReason, ExecuteResponse, ExecuteResult, InteractSession, JsonPieces,
};

use super::event_body::EventBody;
use super::forwarding::ForwardError;
use crate::http::error::ApiError;
use crate::http::event_headers::{EVENT_HEADERS, wants_events};

/// The exit code of code that was killed.
const KILLED: i32 = 137;

/// The purpose of a request, as far as its answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Run code in a session. True for a client that wants events.
    Execute(bool),
    /// Run code in the session of a scrape.
    Interact(bool),
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
            Task::Execute(wants_events(request.headers()))
        } else if path.ends_with("/interact") {
            Task::Interact(wants_events(request.headers()))
        } else {
            Task::Other
        }
    }

    /// Returns a response of the node to a client. Events get an end although the node is gone.
    pub fn relay(self, response: Response) -> Response {
        let pieces = match self {
            Task::Execute(true) => killed().into_json(),
            Task::Interact(true) => InteractSession::default().into_json(killed()),
            _ => return response,
        };
        // An error is JSON.
        if response.status() != StatusCode::OK {
            return response;
        }
        response.map(|body| Body::new(EventBody::new(body, events(pieces))))
    }

    /// Returns the answer. Code that may have started is never answered with an error status,
    /// because clients repeat requests after some.
    pub fn answer(self, error: ForwardError) -> Response {
        match (self, error) {
            (_, ForwardError::NotSent(reason)) => ApiError::NodeUnreachable(reason).into_response(),
            (Task::Other, error) => ApiError::NodeLost(error.to_string()).into_response(),
            (Task::Execute(events), _) => send(killed().into_json(), events),
            (Task::Interact(events), _) => {
                send(InteractSession::default().into_json(killed()), events)
            }
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

fn send(pieces: JsonPieces, as_events: bool) -> Response {
    if as_events {
        return (EVENT_HEADERS, Body::from(events(pieces))).into_response();
    }
    let text: Vec<u8> = pieces.flatten().collect();
    ([(CONTENT_TYPE, "application/json")], Body::from(text)).into_response()
}

fn events(pieces: JsonPieces) -> Bytes {
    let text: Vec<u8> = pieces.into_events([0, 0]).flatten().collect();
    text.into()
}
