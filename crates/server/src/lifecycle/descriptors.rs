//! Watches the number of open descriptors, so that connections never take the last ones.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;
use tokio::sync::watch;

use crate::metrics::Descriptors;

/// The interval between two counts.
const INTERVAL: Duration = Duration::from_millis(100);

/// Accepting pauses when this part of the descriptors is open: 4 of 5.
const PAUSE_AT: (u64, u64) = (4, 5);

/// The watch, as a thread. Dropping it stops the thread.
pub(super) struct DescriptorWatch {
    /// True while connections must wait.
    pub pause: watch::Receiver<bool>,
    /// The last count, for metrics.
    pub counted: Arc<Descriptors>,
    _stop: mpsc::Sender<()>,
}

/// Starts the watch. Its descriptor is opened here, so that it can count when no other is left.
pub(super) fn watch_descriptors() -> anyhow::Result<DescriptorWatch> {
    let mut dir = Dir::open(
        "/proc/self/fd",
        OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .context("cannot read /proc/self/fd")?;
    let (max, _) =
        getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    let counted = Arc::new(Descriptors::new(max));
    let (sender, pause) = watch::channel(false);
    let (stop, stopped) = mpsc::channel::<()>();
    let result = Arc::clone(&counted);
    thread::Builder::new()
        .name("descriptors".to_owned())
        .spawn(move || {
            // The sender is dropped when the server stops.
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let open = count(&mut dir);
                counted.record(open);
                // A count that fails pauses, because it usually means that the server has run out.
                let must_pause = open.is_none_or(|open| open >= max / PAUSE_AT.1 * PAUSE_AT.0);
                let changed = sender
                    .send_if_modified(|paused| std::mem::replace(paused, must_pause) != must_pause);
                if changed && must_pause {
                    tracing::warn!(open, max, "accepting paused: too many open descriptors");
                } else if changed {
                    tracing::info!(open, max, "accepting resumed");
                }
            }
        })
        .context("cannot start a thread")?;
    Ok(DescriptorWatch {
        pause,
        counted: result,
        _stop: stop,
    })
}

/// Counts the entries of `/proc/self/fd`.
fn count(dir: &mut Dir) -> Option<u64> {
    let mut open = 0;
    // The iterator starts at the beginning again when it is dropped.
    for entry in dir.iter() {
        entry.ok()?;
        open += 1;
    }
    // `.` and `..` are not descriptors.
    Some(open - 2)
}
