//! `GET /operator/state`: everything that the operator page shows, except thumbnails. In a cluster,
//! each node describes its own sessions.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use futures_util::future::join_all;
use hearth_contract::{
    DiskPressure, Language, Listed, MemoryPressure, OperatorExecution, OperatorSession,
    OperatorState, Pressure, ReadinessResponse, Scope,
};

use super::ended::{MAX_ENDED, describe_ended};
use super::nodes::{add_ended, add_nodes};
use crate::api_keys::Principal;
use crate::capacity;
use crate::clock;
use crate::config::Limits;
use crate::http::error::ApiError;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::metrics::Gauges;
use crate::sessions::Session;
use crate::store::ExecutionRecord;
use crate::team;

/// The maximum length of a URL and of a title, in bytes. A page may have much longer ones.
const MAX_TEXT: usize = 4096;

pub(crate) async fn state(
    State(state): State<AppState>,
    principal: Principal,
    links: Links,
    head: Parts,
) -> Result<impl IntoResponse, ApiError> {
    let mut described = describe_server(&state, &principal, &links).await;
    if let Some(forwarding) = state.forwarding() {
        let _turn = state.operator_turn(&principal).await?;
        add_nodes(&mut described, forwarding, &head).await;
        add_ended(&mut described, &forwarding.cluster, &principal).await;
    }
    Ok(no_store(described))
}

/// Responds to another node, whose page shows the sessions of this one.
pub(crate) async fn state_of_node(
    State(state): State<AppState>,
    principal: Principal,
    links: Links,
) -> impl IntoResponse {
    no_store(describe_server(&state, &principal, &links).await)
}

/// Returns a response that is not kept, because the live view links contain tokens.
fn no_store(state: OperatorState) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(state))
}

async fn describe_server(state: &AppState, principal: &Principal, links: &Links) -> OperatorState {
    let registry = state.registry();
    let mut sessions = registry.active();
    // Only the operator sees the sessions of scrapes.
    sessions.retain(|session| {
        principal.can_see(session.team())
            && (session.is_listed() || *principal == Principal::Operator)
    });
    let sessions = join_all(sessions.iter().map(|session| describe(session, links))).await;
    let ended = registry.ended(MAX_ENDED, |known| principal.can_see(known.team()));
    let gauges = registry.read_gauges();
    let ReadinessResponse { ready, reasons, .. } = ReadinessResponse::new(&registry.not_ready());
    OperatorState {
        version: env!("CARGO_PKG_VERSION"),
        isolation: state.isolation().as_str(),
        started_at: clock::format(state.started_at()),
        now: clock::format(clock::now()),
        ready,
        reasons,
        scope: if *principal == Principal::Operator {
            Scope::All
        } else {
            Scope::Team
        },
        leaked_processes: gauges.leaked_processes,
        pressure: pressure(&gauges, &registry.limits()),
        nodes: Vec::new(),
        sessions: sessions.into_iter().map(Listed::own).collect(),
        ended: ended.iter().filter_map(describe_ended).collect(),
    }
}

/// Cuts a text that is longer than the page shows.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

fn pressure(gauges: &Gauges, limits: &Limits) -> Pressure {
    let total = capacity::memory_bytes();
    Pressure {
        sessions: gauges.active,
        max_sessions: gauges.max_sessions,
        warm_sessions: gauges.warm_ready,
        executions_running: gauges.running,
        executions_waiting: gauges.waiting,
        memory: MemoryPressure {
            available_bytes: gauges.available_memory_bytes,
            total_bytes: (total > 0).then_some(total),
            min_bytes: limits.min_free_memory_mb << 20,
            sessions_bytes: gauges.sessions_memory_bytes,
        },
        disk: DiskPressure {
            free_bytes: gauges.free_disk_bytes,
            total_bytes: gauges.total_disk_bytes,
            min_bytes: limits.min_free_disk_mb << 20,
        },
    }
}

async fn describe(session: &Session, links: &Links) -> OperatorSession {
    let page = session.current_page().await;
    let crashed = page.as_ref().is_some_and(|page| page.has_crashed);
    let (url, title) = page.map(|page| (page.url, page.title)).unzip();
    let memory_bytes = session.memory_bytes();
    let record = session.record();
    OperatorSession {
        id: record.id.to_string(),
        team: team::display_name(&record.team),
        created_at: clock::format(record.created_at),
        expires_at: clock::format(record.expires_at),
        last_activity: clock::format(record.last_activity),
        node: None,
        is_scrape: !session.is_listed(),
        url: url.map(cut),
        title: title.map(cut),
        has_thumbnail: session.live_view_tokens().is_some(),
        live_view_url: links.live_view(session).watch,
        profile: session.profile().map(str::to_owned),
        memory_bytes: (memory_bytes > 0).then_some(memory_bytes),
        executions: session
            .latest_executions()
            .iter()
            .map(describe_execution)
            .collect(),
        running: session
            .running()
            .into_iter()
            .map(Language::as_str)
            .collect(),
        running_ms: session.running_for().map(clock::milliseconds),
        dialog: session.open_dialog(),
        crashed,
    }
}

fn describe_execution(execution: &ExecutionRecord) -> OperatorExecution {
    OperatorExecution {
        language: execution.language.as_str(),
        ended_at: clock::format(execution.ended_at),
        duration_ms: clock::milliseconds(execution.duration),
        exit_code: execution.exit_code,
        killed: execution.killed,
    }
}
