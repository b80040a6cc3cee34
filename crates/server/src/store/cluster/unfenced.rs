//! A commit without a fence, with which a test proves that it notices a missing one.

use super::profiles::{ProfileLeases, SavedVersion};
use crate::store::error::StoreError;

const COMMIT: &str = "UPDATE profile_leases SET version = $2 WHERE profile_id = $1 RETURNING 1";

impl ProfileLeases {
    /// Makes `saved` the last version of the profile, whatever its lease.
    pub async fn commit_unfenced(&self, saved: &SavedVersion) -> Result<bool, StoreError> {
        let committed = sqlx::query(COMMIT)
            .bind(&saved.record.id)
            .bind(&saved.version)
            .fetch_optional(self.pool())
            .await?;
        Ok(committed.is_some())
    }
}
