//! The session and the path that a request for files names.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use hearth_sandbox::RelativePath;

use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::sessions::{Session, SessionEntry};
use crate::team::Team;

/// The path segments of a request, unvalidated. `None` if they are not UTF-8.
pub(crate) struct FileLocation(Option<HashMap<String, String>>);

impl<S: Send + Sync> FromRequestParts<S> for FileLocation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<FileLocation, Infallible> {
        let names = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        Ok(FileLocation(names.ok().map(|Path(names)| names)))
    }
}

impl FileLocation {
    /// Returns the path of the file.
    pub fn path(&self) -> Result<RelativePath, ApiError> {
        let names = self.0.as_ref();
        let names = names.ok_or_else(|| ApiError::InvalidFilePath("it is not UTF-8".to_owned()))?;
        parse(names.get("path").map_or("", String::as_str))
    }

    /// Returns the session, which may have ended.
    pub async fn session(&self, state: &AppState, team: &Team) -> Result<Arc<Session>, ApiError> {
        let id = self.0.as_ref().and_then(|names| names.get("id"));
        let id = id.map_or("", String::as_str);
        match state.team_session(id, team).await? {
            SessionEntry::Current(session) => Ok(session),
            SessionEntry::Recorded(_) => Err(ApiError::SessionDestroyed),
        }
    }
}

/// Checks a path.
pub(super) fn parse(path: &str) -> Result<RelativePath, ApiError> {
    RelativePath::parse(path).map_err(|error| ApiError::InvalidFilePath(error.to_string()))
}
