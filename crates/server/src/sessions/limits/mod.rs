//! The watchers that enforce the resource limits. Each has its own thread and descriptors.

mod descriptor_reserve;
pub(super) mod disk;
pub(super) mod memory;

use std::io;
use std::sync::Arc;

use hearth_contract::Limit;
use hearth_sandbox::ProcReader;

use self::descriptor_reserve::DescriptorReserve;
use super::readings::Reading;
use super::registry::Registry;
use super::resources::SessionResources;
use super::session::Session;

/// Resources of one watcher, so that it depends on nothing that sessions can exhaust.
#[derive(Debug)]
pub(super) struct WatcherResources {
    proc: ProcReader,
    reserve: DescriptorReserve,
}

impl WatcherResources {
    /// Opens the descriptors of a watcher, of which some are its reserve.
    pub fn open(reserved_descriptors: usize) -> io::Result<WatcherResources> {
        Ok(WatcherResources {
            proc: ProcReader::open()?,
            reserve: DescriptorReserve::open(reserved_descriptors)?,
        })
    }
}

/// A session with its resources.
type Watched = (Arc<Session>, Arc<SessionResources>);

/// The sessions that a watcher could not read.
#[derive(Debug, Default)]
struct Unread {
    sessions: Vec<Arc<Session>>,
    /// The first error.
    error: Option<io::Error>,
}

impl Unread {
    /// Returns all sessions, because a reading that serves all of them failed.
    fn all(sessions: Vec<Watched>, error: io::Error) -> Unread {
        Unread {
            sessions: sessions.into_iter().map(|(session, _)| session).collect(),
            error: Some(error),
        }
    }

    fn add(&mut self, session: &Arc<Session>, error: io::Error) {
        // A session that has just ended has no processes and directories any more.
        if session.ending().is_none() {
            self.sessions.push(Arc::clone(session));
            self.error.get_or_insert(error);
        }
    }

    fn is_empty(&self) -> bool {
        self.error.is_none()
    }

    /// Records the reading as failed, or as successful if no session is unread. After two failures
    /// in a row, ends the unread session that used the most memory at the last reading.
    fn record(self, registry: &Registry, of: Reading) {
        let Some(error) = self.error else {
            registry.readings.record_success(of);
            return;
        };
        if !registry.readings.record_failure(of, &error) {
            return;
        }
        let limits = registry.limits();
        let limit = match of {
            Reading::Memory => Limit::MemoryMb(limits.memory_mb),
            Reading::Disk => Limit::DiskMb(limits.disk_mb),
        };
        let sessions = self.sessions.iter();
        if let Some(largest) = sessions.max_by_key(|session| session.memory_bytes()) {
            largest.mark_ended_by(limit);
        }
    }
}
