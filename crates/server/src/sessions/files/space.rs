//! The disk space that uploads take, together with the measured usage of their session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_contract::Limit;
use hearth_sandbox::DiskUsage;

use super::error::FileError;
use crate::config::Limits;

/// The bytes of the uploads of one session.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// Reserved by uploads that have not ended.
    in_progress: u64,
    /// Of all uploads that were completed.
    completed: u64,
}

/// The disk space of one upload. Dropping it returns the space, unless the upload was completed.
#[derive(Debug)]
pub(super) struct Space {
    uploads: Arc<Mutex<Uploads>>,
    reserved: u64,
    /// The bytes of completed uploads before the measurement, which contains them.
    counted: u64,
    /// The usage of the session, measured once.
    used: u64,
    max_mb: u64,
}

impl Space {
    /// Returns the space before the usage of the session is measured.
    pub fn new(uploads: &Arc<Mutex<Uploads>>, limits: &Limits) -> Space {
        let counted = lock(uploads).completed;
        Space {
            uploads: Arc::clone(uploads),
            reserved: 0,
            counted,
            used: 0,
            max_mb: limits.disk_mb,
        }
    }

    /// Sets the usage of the session. Fails if there can be no other file.
    pub fn set_used(&mut self, used: DiskUsage, limits: &Limits) -> Result<(), FileError> {
        if used.files >= limits.files {
            return Err(FileError::OverLimit(Limit::Files(limits.files)));
        }
        self.used = used.bytes;
        self.grow(0)
    }

    /// Reserves more bytes. The measurement can contain a part of those of other uploads, which
    /// then count twice until these end.
    pub fn grow(&mut self, bytes: u64) -> Result<(), FileError> {
        let mut uploads = lock(&self.uploads);
        let later = uploads.completed.saturating_sub(self.counted);
        let total = [self.used, later, uploads.in_progress, bytes]
            .into_iter()
            .fold(0, u64::saturating_add);
        if total > self.max_mb << 20 {
            return Err(FileError::OverLimit(Limit::DiskMb(self.max_mb)));
        }
        uploads.in_progress += bytes;
        self.reserved += bytes;
        Ok(())
    }

    /// Returns the reserved bytes.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Keeps the space, because the upload is complete.
    pub fn complete(&mut self) {
        let mut uploads = lock(&self.uploads);
        uploads.in_progress -= self.reserved;
        uploads.completed = uploads.completed.saturating_add(self.reserved);
        self.reserved = 0;
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        lock(&self.uploads).in_progress -= self.reserved;
    }
}

fn lock(uploads: &Mutex<Uploads>) -> MutexGuard<'_, Uploads> {
    uploads.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ZERO_LIMITS;

    const LIMITS: Limits = Limits {
        disk_mb: 10,
        files: 5,
        ..ZERO_LIMITS
    };

    const MB: u64 = 1 << 20;

    /// Returns the space of an upload to a session that uses `used` MiB.
    fn space(uploads: &Arc<Mutex<Uploads>>, used: u64) -> Space {
        let mut space = Space::new(uploads, &LIMITS);
        let usage = DiskUsage {
            bytes: used * MB,
            files: 1,
        };
        space.set_used(usage, &LIMITS).expect("below the limits");
        space
    }

    fn is_over_space<T>(result: &Result<T, FileError>) -> bool {
        matches!(result, Err(FileError::OverLimit(Limit::DiskMb(10))))
    }

    #[test]
    fn uploads_share_the_space_of_their_session() {
        let uploads = Arc::default();
        let (mut one, mut two) = (space(&uploads, 4), space(&uploads, 4));
        one.grow(4 * MB).expect("it fits");
        two.grow(2 * MB).expect("it fits");
        assert!(is_over_space(&two.grow(1)));
        // An upload that ends early returns its space.
        drop(one);
        two.grow(4 * MB).expect("it fits");
        assert_eq!(two.reserved(), 6 * MB);
        assert!(is_over_space(&two.grow(1)));
    }

    #[test]
    fn an_upload_that_is_completed_later_counts() {
        let uploads = Arc::default();
        let (mut one, mut two) = (space(&uploads, 4), space(&uploads, 4));
        one.grow(4 * MB).expect("it fits");
        one.complete();
        drop(one);
        assert!(is_over_space(&two.grow(3 * MB)));
        // The measurement of this one contains it.
        let mut three = space(&uploads, 8);
        three.grow(2 * MB).expect("it fits");
        drop((two, three));
        assert_eq!(lock(&uploads).in_progress, 0);
    }

    #[test]
    fn a_session_at_its_limits_accepts_no_upload() {
        let uploads = Arc::default();
        let set = |bytes, files| {
            Space::new(&uploads, &LIMITS).set_used(DiskUsage { bytes, files }, &LIMITS)
        };
        assert!(set(10 * MB, 4).is_ok());
        assert!(is_over_space(&set(10 * MB + 1, 1)));
        let files = set(0, 5);
        assert!(matches!(files, Err(FileError::OverLimit(Limit::Files(5)))));
        assert!(is_over_space(&set(u64::MAX, 1)));
    }
}
