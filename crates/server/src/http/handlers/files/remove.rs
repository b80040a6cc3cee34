//! `DELETE /v2/browser/{id}/files/{path}`: removes a file or an empty directory.

use axum::Json;
use axum::extract::State;
use hearth_contract::FileRemovedResponse;

use super::path::FileLocation;
use crate::http::error::ApiError;
use crate::http::extract::AuthenticatedTeam;
use crate::http::state::AppState;

pub(crate) async fn remove(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    location: FileLocation,
) -> Result<Json<FileRemovedResponse>, ApiError> {
    let path = location.path()?;
    let session = location.session(&state, &team).await?;
    session.remove_file(path).await?;
    Ok(Json(FileRemovedResponse::default()))
}
