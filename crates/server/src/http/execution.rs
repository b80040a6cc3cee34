//! The response to code that ran.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_budget::Reservation;
use hearth_contract::JsonPieces;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::client_connection::ClientConnection;
use crate::sessions::Session;

/// A response that is sent piece by piece, because output can be large.
pub(crate) struct ExecutionStream {
    pub pieces: JsonPieces,
    /// The memory of the output. It stays reserved until it is sent, or until `release_time` after
    /// the end of the session.
    pub reserved: Vec<Reservation>,
    pub session: Arc<Session>,
    pub connection: Arc<ClientConnection>,
    pub release_time: Duration,
}

impl ExecutionStream {
    /// Starts to send the response.
    pub fn into_response(self, tracker: &TaskTracker) -> Response {
        let ExecutionStream {
            pieces,
            reserved,
            session,
            connection,
            release_time,
        } = self;
        let sent = CancellationToken::new();
        let owned = (reserved, sent.clone().drop_guard());
        let pieces = pieces.map(move |piece| {
            // The closure owns them until the last piece is sent.
            let _ = &owned;
            Ok::<_, Infallible>(piece)
        });
        tracker.spawn(async move {
            let released = async {
                session.ended().await;
                sleep_until(Instant::now() + release_time).await;
            };
            tokio::select! {
                () = sent.cancelled() => {}
                () = released => connection.abort(),
            }
        });
        let body = Body::from_stream(stream::iter(pieces));
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    }
}
