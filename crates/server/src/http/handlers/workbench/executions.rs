//! `GET /workbench/sessions/{id}/executions`: the last executions of a session, with their code and
//! output.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::access::find_readable;
use crate::api_keys::Principal;
use crate::http::error::ApiError;
use crate::http::extract::SessionId;
use crate::http::state::AppState;

/// Responds with the executions after the one with the number in `?after=`.
pub(crate) async fn executions(
    State(state): State<AppState>,
    SessionId(id): SessionId,
    principal: Principal,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let session = find_readable(&state, &id, &principal).await?;
    let after = query.iter().find(|(name, _)| name == "after");
    let after = after.and_then(|(_, number)| number.parse().ok());
    let kept = session.executions_after(after.unwrap_or(0))?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    // The pieces share their bytes with the history, which accounts for them.
    let pieces = pieces(kept).into_iter().map(Ok::<_, Infallible>);
    Ok((headers, Body::from_stream(stream::iter(pieces))).into_response())
}

/// Returns the pieces of the response.
fn pieces(kept: Option<Vec<Bytes>>) -> Vec<Bytes> {
    let head = format!(
        r#"{{"success":true,"isKept":{},"executions":["#,
        kept.is_some()
    );
    let mut pieces = vec![Bytes::from(head)];
    for (place, execution) in kept.into_iter().flatten().enumerate() {
        if place > 0 {
            pieces.push(Bytes::from_static(b","));
        }
        pieces.push(execution);
    }
    pieces.push(Bytes::from_static(b"]}"));
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_pieces_are_json() {
        let joined = |kept: Option<Vec<Bytes>>| {
            let bytes = pieces(kept).concat();
            serde_json::from_slice::<Value>(&bytes).expect("it is JSON")
        };
        assert_eq!(
            joined(None),
            json!({"success": true, "isKept": false, "executions": []})
        );
        assert_eq!(joined(Some(Vec::new()))["isKept"], true);
        let two = vec![Bytes::from_static(b"1"), Bytes::from_static(b"2")];
        assert_eq!(joined(Some(two))["executions"], json!([1, 2]));
    }
}
