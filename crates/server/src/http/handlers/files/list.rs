//! `GET /v2/browser/{id}/files`: lists a directory.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use hearth_contract::{FileItem, FileKind, FilesResponse, True};
use hearth_sandbox::{EntryKind, ListedEntry, RelativePath};
use jiff::Timestamp;

use super::path::{FileLocation, parse};
use crate::clock;
use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::execution::Delivery;
use crate::http::extract::AuthenticatedTeam;
use crate::http::state::AppState;

pub(crate) async fn list(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    location: FileLocation,
    Extension(connection): Extension<Arc<ClientConnection>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let named = query.iter().find(|(name, _)| name == "path");
    let path = named.map(|(_, path)| parse(path)).transpose()?;
    let session = location.session(&state, &team).await?;
    let (listing, reserved) = session.list_files(path.clone()).await?;
    let files = listing.entries.into_iter();
    let response = FilesResponse {
        success: True,
        files: files.map(|entry| describe(entry, path.as_ref())).collect(),
        truncated: listing.is_truncated,
    };
    let json = serde_json::to_vec(&response);
    let json = json.map_err(|error| ApiError::Internal(error.to_string()))?;
    let delivery = Delivery::to(connection, &state);
    Ok(delivery.json_pieces([json].into_iter(), session, vec![reserved]))
}

fn describe(entry: ListedEntry, dir: Option<&RelativePath>) -> FileItem {
    let ListedEntry {
        name,
        kind,
        bytes,
        modified_ms,
    } = entry;
    let path = match dir {
        Some(dir) => format!("{}/{name}", dir.as_str()),
        None => name,
    };
    FileItem {
        path,
        kind: match kind {
            EntryKind::File => FileKind::File,
            EntryKind::Directory => FileKind::Directory,
            EntryKind::Link => FileKind::Link,
            EntryKind::Other => FileKind::Other,
        },
        size_bytes: bytes,
        // Code can set any time.
        modified_at: clock::format(Timestamp::from_millisecond(modified_ms).unwrap_or_default()),
    }
}
