//! A shim in warm_shim: up, in its place and ready to start a program, so that nobody waits for that.
//! It takes what an idle shim takes, under a MiB.

use std::io;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::supervisor::shim_source::IdleShim;

/// How long one may take to end, which takes it a millisecond.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Holds one shim at the max. Dropping it ends that one.
#[derive(Debug)]
pub(crate) struct WarmShim(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shim: Option<IdleShim>,
    /// For good.
    is_closed: bool,
}

impl WarmShim {
    pub(crate) fn new() -> WarmShim {
        WarmShim(Mutex::default())
    }

    /// The one that is there, or is just coming.
    pub(crate) async fn take(&self) -> Option<IdleShim> {
        self.0.lock().await.shim.take().filter(IdleShim::is_alive)
    }

    /// Puts one there that `prepare` gives, unless there is one.
    pub(crate) async fn fill(&self, prepare: impl Future<Output = io::Result<IdleShim>>) {
        let mut state = self.0.lock().await;
        if state.is_closed || state.shim.is_some() {
            return;
        }
        match prepare.await {
            Ok(prepared) => state.shim = Some(prepared),
            // Whoever needs one makes one, and is told.
            Err(error) => tracing::debug!(%error, "no supervisor process can be kept in reserve"),
        }
    }

    /// Ends it, and returns when it is gone. There is none from then on.
    pub(crate) async fn close(&self) {
        let shim = {
            let mut state = self.0.lock().await;
            state.is_closed = true;
            state.shim.take()
        };
        if let Some(shim) = shim
            && !matches!(timeout(STOP_TIMEOUT, shim.end()).await, Ok(Ok(())))
        {
            tracing::warn!("a supervisor process in reserve did not end in time");
        }
    }
}
