//! `GET /v2/browser`: lists the team's sessions, newest first.

use axum::Json;
use axum::extract::{Query, State};
use hearth_contract::{
    ListRequest, ListResponse, SessionListItem, SessionStatus, StatusFilter, True,
};

use crate::clock;
use crate::cluster::Cluster;
use crate::http::error::ApiError;
use crate::http::extract::AuthenticatedTeam;
use crate::http::links::{Links, LiveViewUrls};
use crate::http::state::AppState;
use crate::sessions::{ENDED_KEPT_COUNT, SessionEntry};
use crate::store::SessionRecord;
use crate::team::Team;

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
    let mut sessions = if let Some(cluster) = state.cluster() {
        list_of_cluster(&state, cluster, &team, &links).await?
    } else {
        let sessions = state.registry().list(&team);
        let items = sessions.iter().map(|session| describe(session, &links));
        items.collect()
    };
    sessions.retain(|item| is_listed(item.status));
    Ok(Json(ListResponse {
        success: True,
        sessions,
    }))
}

/// Returns the sessions of a team on all nodes.
async fn list_of_cluster(
    state: &AppState,
    cluster: &Cluster,
    team: &Team,
    links: &Links,
) -> Result<Vec<SessionListItem>, ApiError> {
    let _turn = state.turn(state.session_lists(), team).await?;
    let read = cluster.sessions().newest(team, ENDED_KEPT_COUNT).await;
    let sessions = read.map_err(|error| ApiError::StoreUnreadable(error.to_string()))?;
    let keys = cluster.token_keys();
    let items = sessions.iter().map(|session| {
        // The owner knows its sessions best.
        match state.registry().find(session.record.id) {
            Some(own) => describe(&own, links),
            None => describe_record(&session.record, links.of_cluster(session, keys)),
        }
    });
    Ok(items.collect())
}

fn describe(session: &SessionEntry, links: &Links) -> SessionListItem {
    describe_record(&session.record(), links.of(session))
}

fn describe_record(
    record: &SessionRecord,
    (cdp_url, live_view): (String, LiveViewUrls),
) -> SessionListItem {
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
