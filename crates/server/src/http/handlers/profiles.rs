//! `GET /v2/browser/profiles` and `DELETE /v2/browser/profiles/{name}`: lists and deletes the
//! team's profiles.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use hearth_contract::{ProfileDeletedResponse, ProfilesResponse, True};

use crate::http::error::ApiError;
use crate::http::extract::AuthenticatedTeam;
use crate::http::state::AppState;
use crate::profiles::ProfileId;

pub(crate) async fn list(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
) -> Result<Json<ProfilesResponse>, ApiError> {
    let _turn = state.turn(state.profile_lists(), &team).await?;
    let profiles = state.profiles().list(&team).await?;
    Ok(Json(ProfilesResponse {
        success: True,
        profiles,
    }))
}

/// Deletes a profile. The request is idempotent: it also succeeds for a name without a profile.
pub(crate) async fn delete(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<ProfileDeletedResponse>, ApiError> {
    // A path that is not UTF-8 cannot name a profile.
    if let Ok(Path(name)) = name {
        state.profiles().delete(ProfileId::new(team, name)).await?;
    }
    Ok(Json(ProfileDeletedResponse::default()))
}
