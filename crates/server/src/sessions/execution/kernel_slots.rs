//! The kernel slots of a session. Each language has one, which runs one execution at a time.

use std::sync::{Arc, Mutex, PoisonError};

use hearth_contract::Language;
use hearth_runner::Kernel;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::{Instant, timeout_at};

use crate::sessions::error::SessionError;

/// The slots of one session.
#[derive(Debug)]
pub(in crate::sessions) struct KernelSlots([KernelSlot; 3]);

/// The slot of one language: a permit for the running execution, and the idle kernel.
#[derive(Debug)]
pub(in crate::sessions) struct KernelSlot {
    turn: Arc<Semaphore>,
    /// One permit for each execution that may wait for the turn.
    queue: Semaphore,
    /// The idle kernel. `None` while an execution uses it, before the first execution, and always
    /// for bash.
    kernel: Mutex<Option<Kernel>>,
}

impl KernelSlots {
    /// Creates the slots. At most `max_queued` executions wait for each turn.
    pub fn new(max_queued: usize) -> KernelSlots {
        let slot = || KernelSlot {
            turn: Arc::new(Semaphore::new(1)),
            queue: Semaphore::new(max_queued),
            kernel: Mutex::new(None),
        };
        KernelSlots([slot(), slot(), slot()])
    }

    /// Returns the slot of `language`.
    pub fn of(&self, language: Language) -> &KernelSlot {
        let [python, node, bash] = &self.0;
        match language {
            Language::Python => python,
            Language::Node => node,
            Language::Bash => bash,
        }
    }

    /// Waits until no execution runs, and rejects later ones.
    pub async fn close(&self) {
        for slot in &self.0 {
            let last = slot.turn.acquire().await;
            slot.turn.close();
            drop(last);
        }
    }

    /// Returns true if no idle kernel has exited.
    pub fn are_alive(&self) -> bool {
        self.0.iter().all(KernelSlot::is_alive)
    }

    /// Kills the idle kernels.
    pub fn kill_kernels(&self) {
        drop(self.take_kernels());
    }

    /// Takes the idle kernels.
    pub fn take_kernels(&self) -> Vec<(Language, Kernel)> {
        let languages = [Language::Python, Language::Node];
        let taken = languages.map(|language| Some((language, self.of(language).take_kernel()?)));
        taken.into_iter().flatten().collect()
    }
}

impl KernelSlot {
    /// Waits for this execution's turn, in order of arrival, until `deadline` at the latest. The
    /// turn lasts until the permit is dropped.
    pub async fn begin_execution(
        &self,
        language: Language,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, SessionError> {
        match Arc::clone(&self.turn).try_acquire_owned() {
            Ok(permit) => return Ok(permit),
            Err(TryAcquireError::Closed) => return Err(SessionError::Ended),
            Err(TryAcquireError::NoPermits) => {}
        }
        let permit = self.queue.try_acquire();
        let _permit = permit.map_err(|_| SessionError::QueueFull(language))?;
        match timeout_at(deadline, Arc::clone(&self.turn).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(SessionError::Ended),
            Err(_) => Err(SessionError::ExecutionBusy(language)),
        }
    }

    /// Takes the idle kernel, if there is one. It may have exited.
    pub fn take_kernel(&self) -> Option<Kernel> {
        self.kernel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn is_alive(&self) -> bool {
        let kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        kernel.as_ref().is_none_or(Kernel::is_alive)
    }

    /// Puts an idle kernel into the slot.
    pub fn put_kernel(&self, kernel: Kernel) {
        *self.kernel.lock().unwrap_or_else(PoisonError::into_inner) = Some(kernel);
    }
}
