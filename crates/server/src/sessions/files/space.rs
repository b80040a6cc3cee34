//! The disk usage of uploads, in addition to that of their session, which was measured.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_contract::Limit;
use hearth_sandbox::DiskUsage;

use super::error::FileError;
use crate::config::Limits;

/// The disk usage of the uploads of one session.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// Reserved by uploads that have not ended.
    in_progress: DiskUsage,
    /// Of all uploads that were completed.
    completed: DiskUsage,
}

/// The disk space of one upload. Dropping it returns the space, unless the upload was completed.
#[derive(Debug)]
pub(super) struct Space {
    uploads: Arc<Mutex<Uploads>>,
    reserved: DiskUsage,
    /// The completed uploads before the measurement, which contains them.
    counted: DiskUsage,
    /// The usage of the session, measured once.
    used: DiskUsage,
    max_mb: u64,
    max_files: u64,
}

impl Space {
    /// Returns the space before the usage of the session is measured.
    pub fn new(uploads: &Arc<Mutex<Uploads>>, limits: &Limits) -> Space {
        let counted = lock(uploads).completed;
        Space {
            uploads: Arc::clone(uploads),
            reserved: DiskUsage::default(),
            counted,
            used: DiskUsage::default(),
            max_mb: limits.disk_mb,
            max_files: limits.files,
        }
    }

    /// Sets the usage of the session, and reserves an entry for each of the names of the path.
    pub fn set_used(&mut self, used: DiskUsage, names: usize) -> Result<(), FileError> {
        self.used = used;
        let files = u64::try_from(names).unwrap_or(u64::MAX);
        self.reserve(DiskUsage { bytes: 0, files })
    }

    /// Reserves more bytes.
    pub fn grow(&mut self, bytes: u64) -> Result<(), FileError> {
        self.reserve(DiskUsage { bytes, files: 0 })
    }

    /// Reserves more space. The measurement can contain a part of other uploads, which then counts
    /// twice until these end.
    fn reserve(&mut self, more: DiskUsage) -> Result<(), FileError> {
        let mut uploads = lock(&self.uploads);
        let later = minus(uploads.completed, self.counted);
        let total = [later, uploads.in_progress, more]
            .into_iter()
            .fold(self.used, plus);
        if total.bytes > self.max_mb << 20 {
            return Err(FileError::OverLimit(Limit::DiskMb(self.max_mb)));
        }
        if total.files > self.max_files {
            return Err(FileError::OverLimit(Limit::Files(self.max_files)));
        }
        uploads.in_progress = plus(uploads.in_progress, more);
        self.reserved = plus(self.reserved, more);
        Ok(())
    }

    /// Returns the reserved bytes.
    pub fn reserved_bytes(&self) -> u64 {
        self.reserved.bytes
    }

    /// Keeps the space, because the upload is complete.
    pub fn complete(&mut self) {
        let mut uploads = lock(&self.uploads);
        uploads.in_progress = minus(uploads.in_progress, self.reserved);
        uploads.completed = plus(uploads.completed, self.reserved);
        self.reserved = DiskUsage::default();
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let mut uploads = lock(&self.uploads);
        uploads.in_progress = minus(uploads.in_progress, self.reserved);
    }
}

fn plus(one: DiskUsage, other: DiskUsage) -> DiskUsage {
    DiskUsage {
        bytes: one.bytes.saturating_add(other.bytes),
        files: one.files.saturating_add(other.files),
    }
}

fn minus(one: DiskUsage, other: DiskUsage) -> DiskUsage {
    DiskUsage {
        bytes: one.bytes.saturating_sub(other.bytes),
        files: one.files.saturating_sub(other.files),
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
        space.set_used(usage, 1).expect("below the limits");
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
        assert_eq!(two.reserved_bytes(), 6 * MB);
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
        assert_eq!(lock(&uploads).in_progress, DiskUsage::default());
    }

    #[test]
    fn a_session_at_its_limits_accepts_no_upload() {
        let uploads = Arc::default();
        let set =
            |bytes, files| Space::new(&uploads, &LIMITS).set_used(DiskUsage { bytes, files }, 1);
        assert!(set(10 * MB, 4).is_ok());
        assert!(is_over_space(&set(10 * MB + 1, 1)));
        let files = set(0, 5);
        assert!(matches!(files, Err(FileError::OverLimit(Limit::Files(5)))));
        assert!(is_over_space(&set(u64::MAX, 1)));
    }

    #[test]
    fn new_directories_and_parallel_uploads_count_as_files() {
        let uploads = Arc::default();
        let begin = |files, names| {
            let mut space = Space::new(&uploads, &LIMITS);
            let usage = DiskUsage { bytes: 0, files };
            space.set_used(usage, names).map(|()| space)
        };
        let is_full = |result: Result<Space, FileError>| {
            matches!(result, Err(FileError::OverLimit(Limit::Files(5))))
        };
        assert!(is_full(begin(3, 3)));
        let mut one = begin(2, 2).expect("it fits");
        assert!(is_full(begin(2, 2)));
        let two = begin(2, 1).expect("it fits");
        assert!(is_full(begin(2, 1)));
        one.complete();
        drop((one, two));
        assert!(is_full(begin(5, 1)));
        assert!(begin(4, 1).is_ok());
    }
}
