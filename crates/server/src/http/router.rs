//! The whole API at a glance: one flat list of routes.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::{Next, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use crate::http::auth::is_loopback_host;
use crate::http::error::ApiError;
use crate::http::handlers::{
    cdp, create_session, delete_session, execute, health, list_sessions, live, metrics, openapi,
    operator, probes, profiles, show_session,
};
use crate::http::middleware::request_log;
use crate::http::state::AppState;

/// Two names for one thing: SDKs and the CLI call `browser`, the API reference says `interact`.
const PREFIXES: [&str; 2] = ["/v2/browser", "/v2/interact"];

/// Everything that is served to clients.
pub(crate) fn public(state: AppState) -> Router {
    let mut router = Router::new()
        .route("/", get(operator::page::show))
        .route("/operator/page/{part}", get(operator::page::part))
        .route("/operator/state", get(operator::state::show))
        .route("/operator/sessions/{id}", delete(operator::session::end))
        .route(
            "/operator/sessions/{id}/picture",
            get(operator::session::picture),
        )
        .route("/health", get(health::health))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/cdp/{id}", get(cdp::open::browser))
        .route("/cdp/{id}/", get(cdp::open::browser))
        .route("/cdp/{id}/devtools/page/{target}", get(cdp::open::target))
        .route("/cdp/{id}/json/version", get(cdp::describe::version))
        .route("/cdp/{id}/json/version/", get(cdp::describe::version))
        .route("/cdp/{id}/json", get(cdp::describe::list))
        .route("/cdp/{id}/json/", get(cdp::describe::list))
        .route("/cdp/{id}/json/list", get(cdp::describe::list))
        .route("/cdp/{id}/json/list/", get(cdp::describe::list))
        .route("/live/{id}", get(live::page::show))
        .route("/live/{id}/socket", get(live::socket::open))
        .route("/live/page/{part}", get(live::page::part));
    for prefix in PREFIXES {
        let sessions = || post(create_session::create_session).get(list_sessions::list_sessions);
        let session = || get(show_session::show_session).delete(delete_session::delete_session);
        let run = || post(execute::execute);
        let forget = || delete(profiles::delete);
        // Both spellings of every path: clients join base and path as they like.
        router = router
            .route(prefix, sessions())
            .route(&format!("{prefix}/"), sessions())
            .route(&format!("{prefix}/profiles"), get(profiles::list))
            .route(&format!("{prefix}/profiles/"), get(profiles::list))
            .route(&format!("{prefix}/profiles/{{name}}"), forget())
            .route(&format!("{prefix}/profiles/{{name}}/"), forget())
            .route(&format!("{prefix}/{{id}}"), session())
            .route(&format!("{prefix}/{{id}}/"), session())
            .route(&format!("{prefix}/{{id}}/execute"), run())
            .route(&format!("{prefix}/{{id}}/execute/"), run());
    }
    router
        .fallback(async || ApiError::UnknownPath)
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .layer(from_fn_with_state(state.clone(), refuse_foreign_hosts))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::Internal("a handler panicked".to_owned()).into_response()
        }))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(from_fn_with_state(state.clone(), request_log::note))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(map_request(request_log::keep_good_ids))
        .with_state(state)
}

/// What kernels and the agent-browser daemon connect to: browsers only, on a loopback listener of
/// its own.
pub(crate) fn internal(state: AppState) -> Router {
    Router::new()
        .route("/cdp/{id}", get(cdp::open::internal))
        .with_state(state)
}

/// Without keys every web page that a user opens could call us, under a name that it points at
/// loopback (DNS rebinding) or under our own. The `Host` header tells the one, the `Origin` header
/// the other: browsers add it to all that changes something.
async fn refuse_foreign_hosts(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let named = request
        .headers()
        .get_all(HOST)
        .iter()
        .map(|host| host.to_str().unwrap_or_default());
    let hosts: Vec<&str> = named
        .chain(request.uri().authority().map(Authority::as_str))
        .collect();
    let is_look = request.method().is_safe();
    let mut origins = request
        .headers()
        .get_all(ORIGIN)
        .iter()
        .map(|origin| origin.to_str().unwrap_or_default());
    let from_here = is_look
        || origins.all(|origin| {
            origin
                .split_once("://")
                .is_some_and(|(_, host)| is_loopback_host(host))
        });
    let local = !hosts.is_empty() && hosts.into_iter().all(is_loopback_host) && from_here;
    if state.keys().is_empty() && !local {
        return ApiError::ForeignHost.into_response();
    }
    next.run(request).await
}
