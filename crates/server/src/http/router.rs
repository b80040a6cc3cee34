//! The routes of all listeners.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_request};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use crate::cluster::Cluster;
use crate::http::error::ApiError;
use crate::http::forward::{self, NodeAccess, verdict};
use crate::http::front;
use crate::http::handlers::{
    cdp, concurrency, create_session, delete_session, execute, files, health, list_sessions,
    live_view, metrics, openapi, operator, probes, profiles, scrape, scrape_interact, show_session,
    workbench,
};
use crate::http::middleware::{cors, host_guard, request_log};
use crate::http::paths::PREFIXES;
use crate::http::state::AppState;
use crate::http::test_mode;

/// Returns the router of the public listener.
pub(crate) fn public(state: AppState) -> Router {
    let mut router = server_routes()
        .merge(scrape_routes())
        .merge(interact_routes())
        .merge(team_routes());
    for prefix in PREFIXES {
        router = router.merge(team_api_routes(prefix));
    }
    // The innermost layer, so that a request is forwarded before its body is read.
    let of_sessions =
        session_routes().route_layer(from_fn_with_state(state.clone(), forward::to_owner));
    test_mode::extend(router.merge(of_sessions), &state)
        .fallback(front::fallback)
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .layer(from_fn_with_state(
            state.clone(),
            host_guard::reject_foreign_hosts,
        ))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::Internal("a handler panicked".to_owned()).into_response()
        }))
        .layer(option_layer(cors::allow_origins(state.allowed_origins())))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(from_fn_with_state(state.clone(), request_log::log_request))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(map_request(request_log::remove_invalid_id))
        .with_state(state)
}

/// The routes of one session, which its owner answers.
fn session_routes() -> Router<AppState> {
    let mut router = session_link_routes()
        .route("/operator/sessions/{id}", delete(operator::session::end))
        .route(
            "/operator/sessions/{id}/picture",
            get(operator::session::thumbnail),
        )
        .route(
            "/workbench/sessions/{id}/executions",
            get(workbench::executions::executions),
        )
        .route(
            "/workbench/sessions/{id}/lines",
            get(workbench::lines::lines),
        );
    for prefix in PREFIXES {
        router = router.merge(session_api_routes(prefix));
    }
    router
}

/// The workbench, the operator page, probes, metrics and the API description.
fn server_routes() -> Router<AppState> {
    Router::new()
        .route("/", get(workbench::page::html))
        .route("/workbench/page/{part}", get(workbench::page::asset))
        .route("/operator", get(operator::page::html))
        .route("/operator/page/{part}", get(operator::page::asset))
        .route("/operator/state", get(operator::state::state))
        .route("/live/page/{part}", get(live_view::page::asset))
        .route("/health", get(health::health))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
}

/// CDP and the live view. These routes take a session's token instead of an API key.
fn session_link_routes() -> Router<AppState> {
    Router::new()
        .route("/cdp/{id}", get(cdp::connect::browser))
        .route("/cdp/{id}/", get(cdp::connect::browser))
        .route(
            "/cdp/{id}/devtools/page/{target}",
            get(cdp::connect::target),
        )
        .route("/cdp/{id}/json/version", get(cdp::describe::version))
        .route("/cdp/{id}/json/version/", get(cdp::describe::version))
        .route("/cdp/{id}/json", get(cdp::describe::list))
        .route("/cdp/{id}/json/", get(cdp::describe::list))
        .route("/cdp/{id}/json/list", get(cdp::describe::list))
        .route("/cdp/{id}/json/list/", get(cdp::describe::list))
        .route("/live/{id}", get(live_view::page::html))
        .route("/live/{id}/socket", get(live_view::socket::connect))
}

/// The routes about the caller's team, which exist under one name.
fn team_routes() -> Router<AppState> {
    let concurrency = || get(concurrency::concurrency);
    Router::new()
        .route("/v2/concurrency-check", concurrency())
        .route("/v2/concurrency-check/", concurrency())
}

/// The routes of the API about all sessions and profiles of a team. Each path exists with and
/// without a trailing slash, because clients join base URLs and paths differently.
fn team_api_routes(prefix: &str) -> Router<AppState> {
    let sessions = || post(create_session::create_session).get(list_sessions::list_sessions);
    let profile = || delete(profiles::delete);
    Router::new()
        .route(prefix, sessions())
        .route(&format!("{prefix}/"), sessions())
        .route(&format!("{prefix}/profiles"), get(profiles::list))
        .route(&format!("{prefix}/profiles/"), get(profiles::list))
        .route(&format!("{prefix}/profiles/{{name}}"), profile())
        .route(&format!("{prefix}/profiles/{{name}}/"), profile())
}

/// The routes of the API about one session.
fn session_api_routes(prefix: &str) -> Router<AppState> {
    let session = || get(show_session::show_session).delete(delete_session::delete_session);
    let execute = || post(execute::execute);
    let file = get(files::read::read)
        .put(files::write::write)
        .delete(files::remove::remove);
    Router::new()
        .route(&format!("{prefix}/{{id}}"), session())
        .route(&format!("{prefix}/{{id}}/"), session())
        .route(&format!("{prefix}/{{id}}/execute"), execute())
        .route(&format!("{prefix}/{{id}}/execute/"), execute())
        .route(&format!("{prefix}/{{id}}/files"), get(files::list::list))
        .route(&format!("{prefix}/{{id}}/files/"), get(files::list::list))
        // A trailing slash belongs to the path of the file.
        .route(&format!("{prefix}/{{id}}/files/{{*path}}"), file)
}

/// Interactions with a scrape. Their handlers choose the node that answers.
fn interact_routes() -> Router<AppState> {
    let interact = || post(scrape_interact::interact).delete(scrape_interact::stop);
    Router::new()
        .route("/v2/scrape/{jobId}/interact", interact())
        .route("/v2/scrape/{jobId}/interact/", interact())
}

/// The creation of scrapes, which has one prefix. Another Firecrawl server can answer it.
fn scrape_routes() -> Router<AppState> {
    Router::new()
        .route("/v2/scrape", post(front::scrape))
        .route("/v2/scrape/", post(front::scrape))
}

/// Returns the router of the internal listener, which kernels and the agent-browser daemon use to
/// reach their session's browser. Programs of kernels also request the daemon here. It listens on
/// loopback only.
pub(crate) fn internal(state: AppState) -> Router {
    Router::new()
        .merge(program_routes("/cdp"))
        // Programs that start when a client has the session know its id.
        .merge(program_routes("/cdp/{id}"))
        .with_state(state)
}

fn program_routes(base: &str) -> Router<AppState> {
    Router::new()
        .route(base, get(cdp::connect::internal))
        .route(&format!("{base}/agent"), post(cdp::connect::start_agent))
        .route(
            &format!("{base}/ignore-certificate-errors"),
            post(cdp::connect::ignore_certificate_errors),
        )
}

/// Returns the router for other nodes, which has the routes of sessions and those that create one.
/// It forwards nothing, so no request travels in a circle.
pub(crate) fn nodes(state: AppState, access: NodeAccess, cluster: Arc<Cluster>) -> Router {
    let create = || post(create_session::create_session);
    let mut router = session_routes()
        .merge(interact_routes())
        .route("/v2/scrape", post(scrape::scrape));
    for prefix in PREFIXES {
        router = router
            .route(prefix, create())
            .route(&format!("{prefix}/"), create());
    }
    router
        .route("/v2/scrape/", post(scrape::scrape))
        .route("/operator/state", get(operator::state::state_of_node))
        .route(
            verdict::PATH,
            get(verdict::answer).with_state(Arc::clone(&cluster)),
        )
        .fallback(async || ApiError::UnknownPath)
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::Internal("a handler panicked".to_owned()).into_response()
        }))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(from_fn_with_state(state.clone(), request_log::log_request))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(map_request(request_log::remove_invalid_id))
        .layer(from_fn_with_state((access, cluster), forward::admit_node))
        .with_state(state)
}
