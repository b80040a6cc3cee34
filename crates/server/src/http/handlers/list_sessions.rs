//! `GET /v2/browser`: lists the team's sessions, newest first.

use axum::Json;
use axum::extract::{Query, State};
use hearth_contract::{
    ListRequest, ListResponse, SessionListItem, SessionStatus, StatusFilter, True,
};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::AuthenticatedTeam;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::sessions::SessionEntry;

pub(crate) async fn list_sessions(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    links: Links,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<ListResponse>, ApiError> {
    let pairs = query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let list = ListRequest::parse(pairs).map_err(ApiError::Validation)?;
    let is_listed = |status| match list.status {
        None => true,
        Some(StatusFilter::Active) => status == SessionStatus::Active,
        Some(StatusFilter::Destroyed) => status == SessionStatus::Destroyed,
        Some(StatusFilter::Error) => false,
    };
    let sessions = state.registry().list(&team);
    let sessions = sessions
        .iter()
        .map(|session| describe(session, &links))
        .filter(|item| is_listed(item.status))
        .collect();
    Ok(Json(ListResponse {
        success: True,
        sessions,
    }))
}

fn describe(session: &SessionEntry, links: &Links) -> SessionListItem {
    let (cdp_url, live_view) = links.of(session);
    let record = session.record();
    SessionListItem {
        id: record.id.to_string(),
        status: if record.ending.is_some() {
            SessionStatus::Destroyed
        } else {
            SessionStatus::Active
        },
        cdp_url,
        live_view_url: live_view.watch,
        interactive_live_view_url: live_view.control,
        stream_web_view: record.links.is_some(),
        created_at: clock::format(record.created_at),
        last_activity: clock::format(record.last_activity),
    }
}
