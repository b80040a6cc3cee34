//! `PUT /v2/browser/{id}/files/{path}`: writes a file. Its content is never in memory as a whole.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, EXPECT};
use hearth_contract::{FileWrittenResponse, True};
use hearth_sandbox::RelativePath;
use tokio::time::timeout;

use super::path::FileLocation;
use crate::http::error::ApiError;
use crate::http::extract::{AuthenticatedTeam, BodyParts, MAX_DISCARDED_BYTES, header_text};
use crate::http::state::AppState;
use crate::sessions::{Session, Upload};
use crate::team::Team;

/// The maximum time between two parts of a body, however fast the others arrived.
const MAX_PAUSE: Duration = Duration::from_mins(1);

pub(crate) async fn write(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    location: FileLocation,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FileWrittenResponse>, ApiError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let parts = BodyParts::new(body, state.limits());
    match begin(&state, &team, &location, &headers, announced).await {
        Ok((session, path, upload)) => {
            let receiving = Box::pin(receive(upload, parts));
            let size_bytes = tokio::select! {
                received = receiving => received?,
                _ = session.ended() => return Err(ApiError::SessionDestroyed),
            };
            Ok(Json(FileWrittenResponse {
                success: True,
                path: path.into(),
                size_bytes,
            }))
        }
        Err(error) => {
            // Most clients do not read a response while they still send.
            let is_small = announced.is_some_and(|bytes| bytes <= MAX_DISCARDED_BYTES as u64);
            if is_small && !headers.contains_key(EXPECT) {
                parts.discard().await;
            }
            Err(error)
        }
    }
}

/// Checks a request, and creates the file for its body.
async fn begin(
    state: &AppState,
    team: &Team,
    location: &FileLocation,
    headers: &HeaderMap,
    announced: Option<u64>,
) -> Result<(Arc<Session>, RelativePath, Upload), ApiError> {
    let path = location.path()?;
    if headers.contains_key(CONTENT_RANGE) {
        return Err(ApiError::PartialUpload);
    }
    let encoding = header_text(headers, &CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(ApiError::CompressedBody(encoding));
    }
    let session = location.session(state, team).await?;
    let registry = state.registry();
    let upload = registry.begin_upload(&session, path.clone(), announced);
    let upload = Box::pin(upload).await?;
    Ok((session, path, upload))
}

/// Writes the body of a request, and returns its size. Dropping the future removes the file.
async fn receive(mut upload: Upload, mut parts: BodyParts) -> Result<u64, ApiError> {
    loop {
        let part = timeout(MAX_PAUSE, parts.next()).await;
        match part.map_err(|_| ApiError::IncompleteBody)?? {
            Some(part) => upload.write(&part).await?,
            None => return Ok(upload.finish().await?),
        }
    }
}
