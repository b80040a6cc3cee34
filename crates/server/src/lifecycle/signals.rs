//! Signals that stop the server or make it reload.

use std::fs;
use std::future::pending;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// A receiver of the signals that stop the server.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// SIGHUP, if it means that the terminal is gone.
    hangup: Option<Signal>,
}

/// A receiver of the signals that make the server reload.
pub(super) struct ReloadSignals {
    user: Signal,
    /// SIGHUP, if it does not mean that the terminal is gone.
    hangup: Option<Signal>,
}

/// Returns receivers of both kinds of signals.
///
/// SIGHUP stops a server with a controlling terminal, because the kernel and shells send it when
/// the terminal is gone. In that case only SIGUSR1 makes the server reload.
pub(super) fn listen() -> anyhow::Result<(Signals, ReloadSignals)> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let has_terminal = has_terminal();
    // nohup ignores the signal, so that the program survives its terminal.
    let hangup = if has_terminal && is_hangup_ignored() {
        None
    } else {
        Some(listen(SignalKind::hangup())?)
    };
    let (stop, reload) = if has_terminal {
        (hangup, None)
    } else {
        (None, hangup)
    };
    let signals = Signals {
        terminate: listen(SignalKind::terminate())?,
        interrupt: listen(SignalKind::interrupt())?,
        hangup: stop,
    };
    let reload = ReloadSignals {
        user: listen(SignalKind::user_defined1())?,
        hangup: reload,
    };
    Ok((signals, reload))
}

impl Signals {
    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = received(&mut self.hangup) => {}
        }
    }

    /// Waits for the next signal, ignoring signals that arrive within `pause` from now.
    pub async fn next_after(&mut self, pause: Duration) {
        let from = Instant::now() + pause;
        while Instant::now() < from {
            self.next().await;
        }
    }
}

impl ReloadSignals {
    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.user.recv() => {}
            () = received(&mut self.hangup) => {}
        }
    }
}

/// Waits for a signal. Waits forever if there is no receiver.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

/// Returns true if this process has a controlling terminal.
fn has_terminal() -> bool {
    // Opening it fails with ENXIO without one (`tty(4)`).
    fs::File::open("/dev/tty").is_ok()
}

/// Returns true if this process was started with SIGHUP ignored.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is signal 1, the lowest bit.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
