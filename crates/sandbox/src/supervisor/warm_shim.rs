//! Keeps one shim started and prepared, so that the next program starts without that delay. An idle
//! shim takes less than 1 MiB of memory.

use std::io;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::supervisor::shim_source::IdleShim;

/// Time limit for a shim to end, which takes about a millisecond.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A slot for one prepared shim. Dropping it ends the shim.
#[derive(Debug)]
pub(crate) struct WarmShim(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shim: Option<IdleShim>,
    /// Never becomes false again.
    is_closed: bool,
}

impl WarmShim {
    pub(crate) fn new() -> WarmShim {
        WarmShim(Mutex::default())
    }

    /// Takes the shim, if there is one and it is alive. Waits for a [`fill`](WarmShim::fill) in
    /// progress.
    pub(crate) async fn take(&self) -> Option<IdleShim> {
        self.0.lock().await.shim.take().filter(IdleShim::is_alive)
    }

    /// Stores the shim that `prepare` returns. Does nothing if there is one or the slot is closed.
    pub(crate) async fn fill(&self, prepare: impl Future<Output = io::Result<IdleShim>>) {
        let mut state = self.0.lock().await;
        if state.is_closed || state.shim.is_some() {
            return;
        }
        match prepare.await {
            Ok(prepared) => state.shim = Some(prepared),
            // The next start prepares its own shim and returns the error, if there still is one.
            Err(error) => tracing::debug!(%error, "warm shim start failed"),
        }
    }

    /// Ends the shim, waits until it is gone, and closes the slot.
    pub(crate) async fn close(&self) {
        let shim = {
            let mut state = self.0.lock().await;
            state.is_closed = true;
            state.shim.take()
        };
        if let Some(shim) = shim
            && !matches!(timeout(STOP_TIMEOUT, shim.end()).await, Ok(Ok(())))
        {
            tracing::warn!("warm shim did not end in time");
        }
    }
}
