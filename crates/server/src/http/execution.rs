//! The delivery of responses that can be large: of code that ran, and of files.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_budget::Reservation;
use hearth_contract::JsonPieces;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::http::client_connection::ClientConnection;
use crate::http::state::AppState;
use crate::sessions::Session;

/// The answer to a request whose code ran.
#[derive(Debug)]
pub(crate) struct Answer {
    pub pieces: JsonPieces,
    /// The sizes of the first parts of stdout and stderr that a reader of live output has taken.
    pub taken_bytes: [usize; 2],
    /// The memory of the output.
    pub reserved: Vec<Reservation>,
    pub session: Arc<Session>,
}

/// The connection that gets an answer.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub connection: Arc<ClientConnection>,
    pub tracker: TaskTracker,
    /// The time for reading the answer after the session has ended.
    pub release_time: Duration,
}

/// The memory of an answer until it is sent.
#[derive(Debug)]
pub(crate) struct Held {
    _reserved: Vec<Reservation>,
    _sent: DropGuard,
}

impl Delivery {
    /// Returns the delivery to a connection.
    pub fn to(connection: Arc<ClientConnection>, state: &AppState) -> Delivery {
        Delivery {
            connection,
            tracker: state.registry().tracker().clone(),
            release_time: state.limits().release_time,
        }
    }

    /// Returns the answer as JSON. It is sent piece by piece, because output can be large.
    pub fn json(&self, answer: Answer) -> Response {
        let Answer {
            pieces,
            reserved,
            session,
            ..
        } = answer;
        self.json_pieces(pieces, session, reserved)
    }

    /// Returns JSON in pieces, of which `reserved` accounts for the memory.
    pub fn json_pieces<T: Into<Bytes> + 'static>(
        &self,
        pieces: impl Iterator<Item = T> + Send + 'static,
        session: Arc<Session>,
        reserved: Vec<Reservation>,
    ) -> Response {
        let held = self.hold(session, reserved);
        let pieces = pieces.map(move |piece| {
            // The closure owns it until the last piece is sent.
            let _ = &held;
            Ok::<_, Infallible>(piece)
        });
        let body = Body::from_stream(stream::iter(pieces));
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    }

    /// Holds the memory of an answer until it is sent. Closes the connection if that takes longer
    /// than `release_time` after the end of the session.
    pub fn hold(&self, session: Arc<Session>, reserved: Vec<Reservation>) -> Held {
        let sent = CancellationToken::new();
        let held = Held {
            _reserved: reserved,
            _sent: sent.clone().drop_guard(),
        };
        let Delivery {
            connection,
            release_time,
            ..
        } = self.clone();
        self.tracker.spawn(async move {
            let released = async {
                session.ended().await;
                sleep_until(Instant::now() + release_time).await;
            };
            tokio::select! {
                () = sent.cancelled() => {}
                () = released => connection.abort(),
            }
        });
        held
    }
}
