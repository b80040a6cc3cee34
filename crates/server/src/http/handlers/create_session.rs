//! `POST /v2/browser`: a session with a browser of its own.

use axum::Json;
use axum::extract::State;
use hearth_contract::{CreateRequest, CreateResponse, ProfileWarning, True};
use tracing::{Span, field};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::extract::ApiRequest;
use crate::http::middleware::request_log::SESSION;
use crate::http::state::AppState;

pub(crate) async fn create_session(
    State(state): State<AppState>,
    request: ApiRequest,
) -> Result<Json<CreateResponse>, ApiError> {
    let create = CreateRequest::parse(&request.body).map_err(ApiError::Validation)?;
    let session = state.registry().create(request.team, create).await?;
    Span::current().record(SESSION, field::display(session.id()));
    let live_view = state.live_view_urls(&session, &request.headers);
    Ok(Json(CreateResponse {
        success: True,
        id: session.id().to_string(),
        cdp_url: state.cdp_url(&session, &request.headers),
        live_view_url: live_view.watch,
        interactive_live_view_url: live_view.steer,
        expires_at: clock::format(session.expires_at()),
        warning: session.warning().map(ProfileWarning::sentence),
    }))
}
