//! `GET /v2/browser/profiles` and `DELETE /v2/browser/profiles/{name}`: what sessions have left for
//! the next ones.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use hearth_contract::{ProfileDeletedResponse, ProfilesResponse, True};

use crate::http::error::ApiError;
use crate::http::extract::Caller;
use crate::http::state::AppState;
use crate::profiles::ProfileId;

pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<ProfilesResponse>, ApiError> {
    let profiles = state.profiles().list(&caller.team).await?;
    Ok(Json(ProfilesResponse {
        success: True,
        profiles,
    }))
}

/// Doing it again answers the same, and so does a name that no profile has.
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<ProfileDeletedResponse>, ApiError> {
    // What is no text is no profile's name.
    if let Ok(Path(name)) = name {
        state
            .profiles()
            .delete(ProfileId::new(caller.team, name))
            .await?;
    }
    Ok(Json(ProfileDeletedResponse::default()))
}
