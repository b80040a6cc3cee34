//! The response to code that runs, as JSON or as server-sent events.
//!
//! Events begin when the code has started, so errors from before keep their status. The code runs
//! in its own task, so that a client that reads slowly does not delay its end. A client that
//! disconnects drops the body, which owns the task and cancels the code.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hearth_contract::{EventPieces, KEEP_ALIVE_COMMENT, OutputEvent};
use hearth_runner::{LiveOutput, OutputStream};
use thiserror::Error;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::event_headers::{EVENT_HEADERS, wants_events};
use crate::http::execution::{Answer, Delivery, Held};
use crate::http::state::AppState;

/// The time without an event after which a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An error after which a response has no end.
#[derive(Debug, Error)]
#[error("the execution has no end")]
struct NoEnd;

/// The events that follow the end of the code.
struct Ending {
    pieces: EventPieces,
    _held: Held,
}

/// The code that runs. Dropping it cancels the code.
type Running = AbortOnDropHandle<Result<Ending, ApiError>>;

/// The events of an execution.
struct Events {
    live: LiveOutput,
    /// None after the end of the code.
    running: Option<Running>,
    ending: Option<Ending>,
}

/// Runs code and answers its request, with events if the client wants them. `run` gets where its
/// output goes while it runs.
pub(crate) async fn answer_run<F>(
    state: &AppState,
    connection: Arc<ClientConnection>,
    headers: &HeaderMap,
    run: impl FnOnce(Option<LiveOutput>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Answer, ApiError>> + Send + 'static,
{
    let delivery = Delivery::to(connection, state);
    if !wants_events(headers) {
        return Ok(delivery.json(run(None).await?));
    }
    let live = LiveOutput::default();
    let running = start(delivery, run(Some(live.clone())));
    answer_events(live, running).await
}

/// Starts code in its own task.
fn start(
    delivery: Delivery,
    run: impl Future<Output = Result<Answer, ApiError>> + Send + 'static,
) -> Running {
    let tracker = delivery.tracker.clone();
    let running = async move {
        let Answer {
            pieces,
            taken_bytes,
            reserved,
            session,
        } = run.await?;
        Ok(Ending {
            pieces: pieces.into_events(taken_bytes),
            _held: delivery.hold(session, reserved),
        })
    };
    AbortOnDropHandle::new(tracker.spawn(running.in_current_span()))
}

/// Waits until the code has started, and returns the response.
async fn answer_events(live: LiveOutput, mut running: Running) -> Result<Response, ApiError> {
    let ending = tokio::select! {
        () = live.started() => None,
        ended = &mut running => Some(ended.map_err(|error| panicked(&error))??),
    };
    let events = Events {
        live,
        running: ending.is_none().then_some(running),
        ending,
    };
    let events = stream::unfold(events, async |mut events| {
        let event = events.next().await?;
        Some((event, events))
    });
    Ok((EVENT_HEADERS, Body::from_stream(events)).into_response())
}

fn panicked(error: &JoinError) -> ApiError {
    ApiError::Internal(error.to_string())
}

impl Events {
    /// Returns the next piece of the response, or none after the last one.
    async fn next(&mut self) -> Option<Result<Vec<u8>, NoEnd>> {
        let Some(running) = &mut self.running else {
            return self.ending.as_mut()?.pieces.next().map(Ok);
        };
        tokio::select! {
            (stream, text) = self.live.next() => Some(Ok(event(stream).with(&text))),
            ended = running => {
                self.running = None;
                let Ok(Ok(ending)) = ended else {
                    return Some(Err(NoEnd));
                };
                self.ending.insert(ending).pieces.next().map(Ok)
            }
            () = sleep_until(Instant::now() + KEEP_ALIVE) => {
                Some(Ok(KEEP_ALIVE_COMMENT.into()))
            }
        }
    }
}

fn event(stream: OutputStream) -> OutputEvent {
    match stream {
        OutputStream::Stdout => OutputEvent::Stdout,
        OutputStream::Stderr => OutputEvent::Stderr,
    }
}
