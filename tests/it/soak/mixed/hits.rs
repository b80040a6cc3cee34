//! The faults so far. They explain failures: a session may fail after its processes were hit, and
//! every session while the whole server lacks something. A failure without a fault is a violation.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The time after a fault of the whole server in which failures are explained by it.
const AFTERMATH: Duration = Duration::from_secs(8);

/// The faults of a run.
#[derive(Debug, Default)]
pub struct Hits(Mutex<Vec<Hit>>);

#[derive(Debug, Clone)]
struct Hit {
    /// The name of the session's dir; `None` means the whole server.
    dir: Option<String>,
    from: Instant,
    /// `None` while the fault lasts.
    until: Option<Instant>,
    what: String,
}

impl Hits {
    fn add(&self, hit: Hit) -> usize {
        let mut hits = self.0.lock().expect("the lock is not poisoned");
        hits.push(hit);
        hits.len() - 1
    }

    /// Records that a process or the buffers of a session were hit.
    pub fn on_session(&self, dir: &str, what: String) {
        let now = Instant::now();
        self.add(Hit {
            dir: Some(dir.to_owned()),
            from: now,
            until: Some(now),
            what,
        });
    }

    /// Records a fault of the whole server, while `lasting` runs.
    pub async fn on_server<T>(&self, what: String, lasting: impl Future<Output = T>) -> T {
        let index = self.add(Hit {
            dir: None,
            from: Instant::now(),
            until: None,
            what,
        });
        let output = lasting.await;
        self.0.lock().expect("the lock is not poisoned")[index].until = Some(Instant::now());
        output
    }

    /// Returns the first hit on this session, if there is one.
    pub fn of_session(&self, dir: &str) -> Option<String> {
        let hits = self.0.lock().expect("the lock is not poisoned");
        let mut of_session = hits.iter().filter(|hit| hit.dir.as_deref() == Some(dir));
        of_session.next().map(|hit| hit.what.clone())
    }

    /// Returns the last fault of the whole server that lasted at `since` or later.
    pub fn of_server(&self, since: Instant) -> Option<String> {
        let hits = self.0.lock().expect("the lock is not poisoned");
        let mut of_server = hits.iter().rev().filter(|hit| hit.dir.is_none());
        let overlaps = |hit: &&Hit| hit.until.is_none_or(|until| until + AFTERMATH >= since);
        of_server.find(overlaps).map(|hit| hit.what.clone())
    }

    /// Returns a fault that explains a failure of this session, whose request was sent at `since`.
    pub fn explaining(&self, dir: &str, since: Instant) -> Option<String> {
        self.of_session(dir).or_else(|| self.of_server(since))
    }

    /// Returns true if any process was hit at `since` or later.
    pub fn any(&self, since: Instant) -> bool {
        let hits = self.0.lock().expect("the lock is not poisoned");
        hits.iter().any(|hit| hit.from >= since) || {
            drop(hits);
            self.of_server(since).is_some()
        }
    }
}
