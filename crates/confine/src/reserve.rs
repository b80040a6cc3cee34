//! A shim in reserve: up, in its place and ready to start a program, so that nobody waits for that. It takes what an idle
//! shim takes, under a MiB.

use std::io;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::starter::NewShim;

/// How long one may take to end, which takes it a millisecond.
const END_BOUND: Duration = Duration::from_secs(5);

/// Holds one shim at the most. Dropping it ends that one.
#[derive(Debug)]
pub(crate) struct Reserve(Mutex<State>);

#[derive(Debug)]
enum State {
    Open(Option<NewShim>),
    /// For good.
    Closed,
}

impl Reserve {
    pub(crate) fn new() -> Reserve {
        Reserve(Mutex::new(State::Open(None)))
    }

    /// The one that is there, or is just coming.
    pub(crate) async fn take(&self) -> Option<NewShim> {
        match &mut *self.0.lock().await {
            State::Open(shim) => shim.take().filter(NewShim::is_there),
            State::Closed => None,
        }
    }

    /// Puts one there that `prepare` gives, unless there is one.
    pub(crate) async fn fill(&self, prepare: impl Future<Output = io::Result<NewShim>>) {
        let mut state = self.0.lock().await;
        if let State::Open(shim @ None) = &mut *state {
            match prepare.await {
                Ok(prepared) => *shim = Some(prepared),
                // Whoever needs one makes one, and is told.
                Err(error) => tracing::debug!(%error, "no supervisor process can be kept in reserve"),
            }
        }
    }

    /// Ends it, and returns when it is gone. There is none from then on.
    pub(crate) async fn close(&self) {
        let state = std::mem::replace(&mut *self.0.lock().await, State::Closed);
        if let State::Open(Some(shim)) = state
            && !matches!(timeout(END_BOUND, shim.end()).await, Ok(Ok(())))
        {
            tracing::warn!("a supervisor process in reserve did not end in time");
        }
    }
}
