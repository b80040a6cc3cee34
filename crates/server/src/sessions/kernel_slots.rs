//! The execution places of a session: one for each language, and the kernels in them.

use std::sync::{Arc, Mutex, PoisonError};

use hearth_contract::Language;
use hearth_runner::Kernel;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::http::error::ApiError;

/// One place a language: a permit for the one execution that may run, and the kernel that waits for
/// it.
#[derive(Debug)]
pub(super) struct KernelSlots([KernelSlot; 3]);

/// The place of one language.
#[derive(Debug)]
pub(super) struct KernelSlot {
    turn: Arc<Semaphore>,
    /// Empty while an execution has the kernel, before the first one, and always for bash.
    kernel: Mutex<Option<Kernel>>,
}

impl KernelSlots {
    pub fn new() -> KernelSlots {
        let place = || KernelSlot {
            turn: Arc::new(Semaphore::new(1)),
            kernel: Mutex::new(None),
        };
        KernelSlots([place(), place(), place()])
    }

    pub fn of(&self, language: Language) -> &KernelSlot {
        let [python, node, bash] = &self.0;
        match language {
            Language::Python => python,
            Language::Node => node,
            Language::Bash => bash,
        }
    }

    /// Waits until no execution has a place, and lets none in any more.
    pub async fn close(&self) {
        for place in &self.0 {
            let last = place.turn.acquire().await;
            place.turn.close();
            drop(last);
        }
    }

    /// Ends the kernels that wait.
    pub fn kill_kernels(&self) {
        for place in &self.0 {
            drop(place.take_kernel());
        }
    }
}

impl KernelSlot {
    /// The turn of an execution: first come, first served, until `deadline`.
    pub async fn begin_execution(
        &self,
        language: Language,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        match timeout_at(deadline, Arc::clone(&self.turn).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(ApiError::SessionDestroyed),
            Err(_) => Err(ApiError::SessionBusy(language)),
        }
    }

    /// The kernel that waits here, if it lives.
    pub fn take_kernel(&self) -> Option<Kernel> {
        self.kernel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .filter(Kernel::is_alive)
    }

    pub fn put_kernel(&self, kernel: Kernel) {
        *self.kernel.lock().unwrap_or_else(PoisonError::into_inner) = Some(kernel);
    }
}
