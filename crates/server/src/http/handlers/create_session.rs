//! `POST /v2/browser`: creates a session.

use axum::Json;
use axum::extract::State;
use hearth_contract::{CreateRequest, CreateResponse, True};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::ApiRequest;
use crate::http::links::Links;
use crate::http::state::AppState;

pub(crate) async fn create_session(
    State(state): State<AppState>,
    links: Links,
    request: ApiRequest,
) -> Result<Json<CreateResponse>, ApiError> {
    let create = CreateRequest::parse(&request.body).map_err(ApiError::Validation)?;
    let session = state.registry().create(request.team, create).await?;
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
