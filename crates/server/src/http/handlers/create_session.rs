//! `POST /v2/browser`: creates a session.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hearth_contract::{CreateRequest, CreateResponse, True};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::KeptRequest;
use crate::http::forward::place;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::team::Team;

pub(crate) async fn create_session(
    State(state): State<AppState>,
    links: Links,
    request: KeptRequest,
) -> Result<Response, ApiError> {
    let create = CreateRequest::parse(&request.body).map_err(ApiError::Validation)?;
    let KeptRequest {
        team, parts, bytes, ..
    } = request;
    let (server, links) = (&state, &links);
    let create_here = || async move {
        let created = create_here(server, team, create, links).await?;
        Ok::<_, ApiError>(created.into_response())
    };
    place(server, &parts, bytes, create_here).await
}

/// Creates a session of this server.
async fn create_here(
    state: &AppState,
    team: Team,
    create: CreateRequest,
    links: &Links,
) -> Result<Json<CreateResponse>, ApiError> {
    let session = state.registry().create(team, create).await?;
    let live_view = links.live_view(&session);
    Ok(Json(CreateResponse {
        success: True,
        id: session.id().to_string(),
        cdp_url: links.cdp_url(&session),
        live_view_url: live_view.watch,
        interactive_live_view_url: live_view.control,
        expires_at: clock::format(session.expires_at()),
        warning: session.warning(),
    }))
}
