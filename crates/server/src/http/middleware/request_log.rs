//! Logs and counts every request.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use crate::clock;
use crate::http::client_connection::ClientConnection;
use crate::http::forward::FromNode;
use crate::http::state::AppState;
use crate::sessions::SESSION;

/// Routes that are logged at `debug`: those that programs and pages of this server poll every few
/// seconds, and static files.
const QUIET_ROUTES: [&str; 10] = [
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/operator/state",
    "/operator/sessions/{id}/picture",
    "/operator/page/{part}",
    "/live/page/{part}",
    "/workbench/page/{part}",
    "/openapi.json",
];

const SCRAPE_ROUTES: [&str; 2] = ["/v2/scrape", "/v2/scrape/"];

pub(super) const REQUEST_ID: &str = "x-request-id";

/// The maximum length of a request id that a client may choose.
const MAX_ID_BYTES: usize = 128;

/// Label for requests that match no route.
const NO_ROUTE: &str = "none";

/// Runs a request in a span, and logs and counts it when it is finished or abandoned.
pub(crate) async fn log_request(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(NO_ROUTE, MatchedPath::as_str);
    let (method, path) = (method_label(request.method()), request.uri().path());
    // The names of files are content of the session.
    let path: Cow<'_, str> = match route.split_once("{*") {
        Some((fixed, _)) => {
            let count = fixed.matches('/').count();
            path.split_inclusive('/').take(count).collect()
        }
        None => path.into(),
    };
    let path = &path[..path.floor_char_boundary(state.limits().log_path_bytes)];
    let connection = request.extensions().get::<Arc<ClientConnection>>().cloned();
    // The query is left out because it can contain a token.
    let span = tracing::error_span!(
        "request",
        id,
        method,
        path,
        team = field::Empty,
        session = field::Empty,
        language = field::Empty,
        node = field::Empty,
    );
    // The id of a scrape is not the one of its session.
    let session = path.split('/').find_map(|part| Uuid::parse_str(part).ok());
    if let Some(session) = session.filter(|_| !path.starts_with("/v2/scrape/")) {
        span.record(SESSION, field::display(session));
    }
    let mut log = RequestLog {
        state,
        span,
        method,
        route: route.to_owned(),
        began: Instant::now(),
        connection,
        is_forwarded: request.extensions().get::<FromNode>().is_some(),
        status: None,
    };
    let response = next.run(request).instrument(log.span.clone()).await;
    log.status = Some(response.status());
    response
}

/// Returns the method's name, or `other` for an unknown method, because clients can send any method
/// of any length.
fn method_label(method: &Method) -> &'static str {
    let known = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    known
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

/// Removes a request id that is empty, longer than 128 bytes, or not printable ASCII. The next
/// layer then generates one.
pub(crate) async fn remove_invalid_id(mut request: Request) -> Request {
    let is_valid = |id: &HeaderValue| {
        (1..=MAX_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if request
        .headers()
        .get(REQUEST_ID)
        .is_some_and(|id| !is_valid(id))
    {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// A request in progress. Dropping it writes the log line, because the request's future is dropped
/// when its client disconnects.
struct RequestLog {
    state: AppState,
    span: Span,
    method: &'static str,
    route: String,
    began: Instant,
    connection: Option<Arc<ClientConnection>>,
    /// True if another node sent the request. That node logs and counts it.
    is_forwarded: bool,
    status: Option<StatusCode>,
}

impl RequestLog {
    /// Returns true if the connection has sent no authenticated request.
    fn is_unauthenticated(&self) -> bool {
        self.connection
            .as_ref()
            .is_none_or(|connection| !connection.is_authenticated())
    }

    /// Returns true if another line may be written. Logs the number of suppressed lines.
    fn is_admitted(&self) -> bool {
        let limits = self.state.log_limits();
        if self.is_unauthenticated() {
            let (is_admitted, suppressed) = limits.unauthenticated.admit();
            if let Some(count) = suppressed {
                tracing::warn!(count, "requests without a key not logged");
            }
            is_admitted
        } else {
            let (is_admitted, suppressed) = limits.others.admit();
            if let Some(count) = suppressed {
                tracing::warn!(count, "requests not logged");
            }
            is_admitted
        }
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        let duration_ms = clock::milliseconds(self.began.elapsed());
        let _entered = self.span.enter();
        if self.is_forwarded {
            let status = self.status.map(|status| status.as_u16());
            tracing::debug!(status, duration_ms, "forwarded request finished");
            return;
        }
        let metrics = self.state.registry().metrics();
        let Some(status) = self.status else {
            metrics.request_finished(self.method, &self.route, "none");
            if self.is_admitted() {
                tracing::info!(duration_ms, "request abandoned");
            }
            return;
        };
        metrics.request_finished(self.method, &self.route, status.as_str());
        let status = status.as_u16();
        if QUIET_ROUTES.contains(&self.route.as_str()) {
            tracing::debug!(status, duration_ms, "request finished");
            return;
        }
        if !self.is_admitted() {
            return;
        }
        // A scrape fails with 500 because of its site.
        let is_of_site = status == 500 && SCRAPE_ROUTES.contains(&self.route.as_str());
        if status >= 500 && !is_of_site {
            tracing::warn!(status, duration_ms, "request finished");
        } else {
            tracing::info!(status, duration_ms, "request finished");
        }
    }
}
