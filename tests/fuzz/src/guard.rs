//! Detects panics and endless loops of a check.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Installs a hook that records panics of guarded threads instead of printing them.
fn install_hook() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |about| {
            if IS_GUARDED.get() {
                PANICS.with_borrow_mut(|panics| panics.push(about.to_string()));
            } else {
                previous(about);
            }
        }));
    });
}

/// Calls `check`. Returns the message of the first panic on this thread, even if something below
/// `check` caught it, as a runtime does for its tasks.
pub(crate) fn catch_panic(check: impl FnOnce()) -> Result<(), String> {
    install_hook();
    let was_guarded = IS_GUARDED.replace(true);
    let outer = PANICS.take();
    let outcome = panic::catch_unwind(AssertUnwindSafe(check));
    let panics = PANICS.replace(outer);
    IS_GUARDED.set(was_guarded);
    match panics.into_iter().next() {
        Some(message) => Err(message),
        None if outcome.is_err() => Err("panicked".to_owned()),
        None => Ok(()),
    }
}

/// The input that is being checked, and since when.
type Current = Arc<Mutex<(Instant, Vec<u8>)>>;

/// A thread that ends the process if one input takes too long.
pub(crate) struct Watchdog {
    current: Current,
    /// Ends the thread when it is dropped.
    _running: mpsc::Sender<()>,
}

impl Watchdog {
    pub fn start(timeout: Duration, name: &'static str) -> Watchdog {
        let current: Current = Arc::new(Mutex::new((Instant::now(), Vec::new())));
        let (running, ended) = mpsc::channel();
        let watched = Arc::clone(&current);
        thread::spawn(move || {
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let current = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if current.0.elapsed() > timeout {
                    let command = crate::command(&current.1, name);
                    eprintln!("the fuzz target {name} did not finish this input:\n  {command}");
                    std::process::exit(1);
                }
            }
        });
        Watchdog {
            current,
            _running: running,
        }
    }

    /// Records the input that is checked next.
    pub fn begin(&self, input: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.0 = Instant::now();
        current.1.clear();
        current.1.extend_from_slice(input);
    }
}
