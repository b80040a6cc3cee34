//! `GET /operator/state`: everything that the operator page shows, except thumbnails.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use futures_util::future::join_all;
use hearth_contract::{
    DiskPressure, EndedSession, Language, MemoryPressure, OperatorExecution, OperatorSession,
    OperatorState, Pressure, ReadinessResponse, Scope,
};

use crate::api_keys::Principal;
use crate::capacity;
use crate::clock;
use crate::config::Limits;
use crate::http::error::ApiError;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::metrics::Gauges;
use crate::sessions::Session;
use crate::store::{ExecutionRecord, SessionRecord};
use crate::team;

/// The maximum number of ended sessions on the page.
const MAX_ENDED: usize = 10;

pub(crate) async fn state(
    State(state): State<AppState>,
    principal: Principal,
    links: Links,
) -> Result<impl IntoResponse, ApiError> {
    let registry = state.registry();
    let mut sessions = registry.active();
    sessions.retain(|session| principal.can_see(session.team()));
    let sessions = join_all(sessions.iter().map(|session| describe(session, &links))).await;
    let ended = registry.ended(MAX_ENDED, |known| principal.can_see(known.team()));
    let gauges = registry.read_gauges();
    let ReadinessResponse { ready, reasons, .. } = ReadinessResponse::new(&registry.not_ready());
    let body = Json(OperatorState {
        version: env!("CARGO_PKG_VERSION"),
        isolation: state.isolation().as_str(),
        started_at: clock::format(state.started_at()),
        now: clock::format(clock::now()),
        ready,
        reasons,
        scope: if principal == Principal::Operator {
            Scope::All
        } else {
            Scope::Team
        },
        leaked_processes: gauges.leaked_processes,
        pressure: pressure(&gauges, &registry.limits()),
        sessions,
        ended: ended.iter().filter_map(describe_ended).collect(),
    });
    // The live view links contain tokens.
    Ok(([(CACHE_CONTROL, "no-store")], body))
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
    let (url, title) = session.current_page().await.unzip();
    let memory_bytes = session.memory_bytes();
    let record = session.record();
    OperatorSession {
        id: record.id.to_string(),
        team: team::display_name(&record.team),
        created_at: clock::format(record.created_at),
        expires_at: clock::format(record.expires_at),
        last_activity: clock::format(record.last_activity),
        url,
        title,
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

fn describe_ended(session: &SessionRecord) -> Option<EndedSession> {
    let ending = session.ending?;
    Some(EndedSession {
        id: session.id.to_string(),
        team: team::display_name(&session.team),
        reason: ending.reason.as_str(),
        ended_at: clock::format(ending.at),
        duration_ms: ending.duration_ms,
    })
}
