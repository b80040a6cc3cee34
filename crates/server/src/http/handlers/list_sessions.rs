//! `GET /v2/browser`: the team's sessions, newest first.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use hearth_contract::{
    ListRequest, ListResponse, SessionListItem, SessionStatus, StatusFilter, True,
};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::Caller;
use crate::http::state::AppState;

pub(crate) async fn list_sessions(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<ListResponse>, ApiError> {
    let pairs = query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let list = ListRequest::parse(pairs).map_err(ApiError::Validation)?;
    let wanted = list.status.map(|filter| match filter {
        StatusFilter::Active => SessionStatus::Active,
        StatusFilter::Destroyed => SessionStatus::Destroyed,
    });
    let sessions = state.registry().list(&caller.team);
    let items = sessions.iter().map(|known| {
        let live_view = state.live_view_urls_of(known, &headers);
        let session = known.record();
        SessionListItem {
            id: session.id.to_string(),
            status: if session.ending.is_some() {
                SessionStatus::Destroyed
            } else {
                SessionStatus::Active
            },
            cdp_url: state.cdp_url_of(known, &headers),
            live_view_url: live_view.watch,
            interactive_live_view_url: live_view.steer,
            stream_web_view: session.links.is_some(),
            created_at: clock::format(session.created_at),
            last_activity: clock::format(session.last_activity),
        }
    });
    let sessions = items
        .filter(|item| wanted.is_none_or(|wanted| wanted == item.status))
        .collect();
    Ok(Json(ListResponse {
        success: True,
        sessions,
    }))
}
