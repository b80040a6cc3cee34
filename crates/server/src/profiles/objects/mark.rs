//! The object that tells the storage of a cluster's profiles from another one. A directory that is
//! not mounted is empty: without this check, its node would forget the profiles of all nodes, and
//! save new versions where no other node finds them.

use bytes::Bytes;

use super::catalog::ProfileObjects;
use super::keys::MARK;
use crate::object_storage::{Bucket, BucketError};

const CONTENT: &[u8] = b"hearth profiles 1";

impl ProfileObjects {
    /// Fails if the object storage has no mark, although the database lists profiles. Without
    /// profiles, leaves the mark.
    pub(super) async fn check_mark(&self) -> Result<(), BucketError> {
        match self.bucket.read(MARK, CONTENT.len() as u64).await {
            Ok(_) => Ok(()),
            Err(BucketError::NotFound) => {
                let has_profiles = self.leases.has_objects().await;
                let has_profiles =
                    has_profiles.map_err(|error| BucketError::Unavailable(error.to_string()))?;
                if has_profiles {
                    return Err(BucketError::Unmarked(self.bucket.name().to_owned()));
                }
                leave_mark(&self.bucket).await
            }
            Err(error) => Err(error),
        }
    }
}

/// Marks a bucket as that of the cluster.
pub(super) async fn leave_mark(bucket: &Bucket) -> Result<(), BucketError> {
    bucket.put(MARK, Bytes::from_static(CONTENT)).await
}
