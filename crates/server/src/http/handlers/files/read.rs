//! `GET /v2/browser/{id}/files/{path}`: reads a file, or one range of it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

use super::path::FileLocation;
use crate::http::client_connection::ClientConnection;
use crate::http::content_types::{attachment, content_type};
use crate::http::error::ApiError;
use crate::http::execution::{Delivery, Held};
use crate::http::extract::AuthenticatedTeam;
use crate::http::ranges::Wanted;
use crate::http::state::AppState;
use crate::sessions::OpenedFile;

/// A file while it is sent.
struct Sending {
    file: OpenedFile,
    left: Range<u64>,
    _held: Held,
}

pub(crate) async fn read(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    location: FileLocation,
    Extension(connection): Extension<Arc<ClientConnection>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = location.path()?;
    let session = location.session(&state, &team).await?;
    let file = session.open_file(path.clone()).await?;
    let size = file.bytes;
    let etag = format!("\"{}\"", file.version);
    let (status, range) = match Wanted::of(&headers, size, &etag) {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => return Err(ApiError::UnsatisfiableRange(size)),
    };
    let mut fields = vec![
        (CONTENT_TYPE, content_type(path.name()).to_owned()),
        (CONTENT_DISPOSITION, attachment(path.name())),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_LENGTH, (range.end - range.start).to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (ETAG, etag),
    ];
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end - 1;
        let range = format!("bytes {}-{last}/{size}", range.start);
        fields.push((CONTENT_RANGE, range));
    }
    // The connection is closed some time after the end of the session, so that its files are
    // removed from the disk.
    let sending = Sending {
        _held: Delivery::to(connection, &state).hold(session, Vec::new()),
        file,
        left: range,
    };
    let parts = stream::unfold(sending, async |mut sending| {
        let part: io::Result<Bytes> = sending.file.read(&mut sending.left).await?;
        Some((part, sending))
    });
    let mut response = (status, Body::from_stream(parts)).into_response();
    for (name, value) in fields {
        // Cannot fail, because all values are printable ASCII.
        let value = HeaderValue::try_from(value)
            .map_err(|_| ApiError::Internal(format!("the value of {name} is invalid")))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
