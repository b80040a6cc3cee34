//! Watches the number of open descriptors, so that the server accepts no connection that would
//! take the last ones.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;
use tokio::sync::watch;

/// The interval between two counts. A count takes about 0.1 ms per thousand descriptors.
const INTERVAL: Duration = Duration::from_millis(100);

/// The share of the limit at which accepting pauses, in percent.
const PAUSE_PERCENT: u64 = 80;
