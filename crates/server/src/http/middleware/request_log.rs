//! One line of the log for every request, and its count.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use crate::clock;
use crate::http::state::AppState;

/// What is asked every few seconds by machines and by the operator's page, and is logged for those
/// who want to know.
const ASKED_OFTEN: [&str; 6] = [
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/operator/state",
    "/operator/sessions/{id}/picture",
];

const REQUEST_ID: &str = "x-request-id";

/// The longest id of a request that a caller may choose.
const MAX_ID_BYTES: usize = 128;

/// The route of what is none.
const NO_ROUTE: &str = "none";

/// The name of the request's session in its span, for handlers that make one.
pub(crate) const SESSION: &str = "session";

pub(crate) async fn note(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(NO_ROUTE, MatchedPath::as_str);
    let (method, path) = (word_of(request.method()), request.uri().path());
    // The path alone: a query can hold a token.
    let span = tracing::info_span!("request", id, method, path, session = field::Empty);
    if let Some(session) = path.split('/').find_map(|part| Uuid::parse_str(part).ok()) {
        span.record(SESSION, field::display(session));
    }
    let mut line = Line {
        state,
        span,
        method,
        route: route.to_owned(),
        began: Instant::now(),
        status: None,
    };
    let response = next.run(request).instrument(line.span.clone()).await;
    line.status = Some(response.status());
    response
}

/// Methods are the caller's to make up, of any length.
fn word_of(method: &Method) -> &'static str {
    let known = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    known
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

/// Takes an id off a request that is no good for a log: empty, long, or other than printable ASCII.
/// It gets one of ours then.
pub(crate) async fn keep_good_ids(mut request: Request) -> Request {
    let is_good = |id: &HeaderValue| {
        (1..=MAX_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if request
        .headers()
        .get(REQUEST_ID)
        .is_some_and(|id| !is_good(id))
    {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Written when it is dropped: a caller that goes away takes its request with it.
struct Line {
    state: AppState,
    span: Span,
    method: &'static str,
    route: String,
    began: Instant,
    status: Option<StatusCode>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration_ms = clock::milliseconds(self.began.elapsed());
        let _entered = self.span.enter();
        let Some(status) = self.status else {
            self.state
                .registry()
                .metrics()
                .requested(self.method, &self.route, "none");
            tracing::info!(duration_ms, "a request was given up by its caller");
            return;
        };
        self.state
            .registry()
            .metrics()
            .requested(self.method, &self.route, status.as_str());
        let status = status.as_u16();
        if ASKED_OFTEN.contains(&self.route.as_str()) {
            tracing::debug!(status, duration_ms, "a request was answered");
        } else if status >= 500 {
            tracing::warn!(status, duration_ms, "a request was answered");
        } else {
            tracing::info!(status, duration_ms, "a request was answered");
        }
    }
}
