//! `GET /operator/state`: everything that the page shows, but for pictures.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use futures_util::future::join_all;
use hearth_contract::{
    DiskPressure, EndedSession, Language, MemoryPressure, OperatorExecution, OperatorSession,
    OperatorState, Pressure, ReadinessResponse, Scope,
};

use super::may_see;
use crate::capacity;
use crate::clock;
use crate::config::Limits;
use crate::http::auth::{Onlooker, team_name};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::metrics::Reading;
use crate::sessions::Session;
use crate::store::{ExecutionRecord, SessionRecord};

/// How many ended sessions are shown.
const ENDED: usize = 10;

pub(crate) async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let onlooker = state.keys().onlooker(&headers)?;
    let registry = state.registry();
    let mut sessions = registry.active();
    sessions.retain(|session| may_see(&onlooker, session.team()));
    let sessions = join_all(
        sessions
            .iter()
            .map(|session| describe(&state, session, &headers)),
    )
    .await;
    let ended = registry.ended(ENDED, |known| may_see(&onlooker, known.team()));
    let reading = registry.read().await;
    let ReadinessResponse { ready, reasons } = ReadinessResponse::new(&registry.not_ready());
    let answer = Json(OperatorState {
        version: env!("CARGO_PKG_VERSION"),
        isolation: state.isolation().as_str(),
        started_at: clock::format(state.started_at()),
        now: clock::format(clock::now()),
        ready,
        reasons,
        scope: if onlooker == Onlooker::Operator {
            Scope::All
        } else {
            Scope::Team
        },
        leaked_processes: reading.leaked_processes,
        pressure: weigh(&reading, registry.limits()),
        sessions,
        ended: ended.iter().filter_map(describe_ended).collect(),
    });
    // It has links that are keys.
    Ok(([(CACHE_CONTROL, "no-store")], answer))
}

fn weigh(reading: &Reading, limits: &Limits) -> Pressure {
    let total = capacity::memory_bytes();
    Pressure {
        sessions: reading.active,
        max_sessions: reading.max_sessions,
        executions_running: reading.running,
        executions_waiting: reading.waiting,
        memory: MemoryPressure {
            available_bytes: reading.available_memory_bytes,
            total_bytes: (total > 0).then_some(total),
            min_bytes: limits.min_free_memory_mb << 20,
            sessions_bytes: reading.sessions_memory_bytes,
        },
        disk: DiskPressure {
            free_bytes: reading.free_disk_bytes,
            total_bytes: reading.total_disk_bytes,
            min_bytes: limits.min_free_disk_mb << 20,
        },
    }
}

async fn describe(state: &AppState, session: &Session, headers: &HeaderMap) -> OperatorSession {
    let (url, title) = session.current_page().await.unzip();
    let memory_bytes = session.memory_bytes();
    let record = session.record();
    OperatorSession {
        id: record.id.to_string(),
        team: team_name(&record.team),
        created_at: clock::format(record.created_at),
        expires_at: clock::format(record.expires_at),
        last_activity: clock::format(record.last_activity),
        url,
        title,
        has_thumbnail: session.live_tokens().is_some(),
        live_view_url: state.live_view_urls(session, headers).watch,
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
        team: team_name(&session.team),
        reason: ending.reason.as_str(),
        ended_at: clock::format(ending.at),
        duration_ms: ending.duration_ms,
    })
}
