//! Records the profiles of a bucket in a store that has lost them.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use thiserror::Error;

use super::keys::{Content, DIR, parse_key, version_key};
use super::mark::leave_mark;
use crate::object_storage::{Bucket, BucketError, StoredObject};
use crate::profiles::file::{Head, MAX_HEAD_BYTES, START_BYTES};
use crate::profiles::id::ProfileId;
use crate::store::cluster::{ProfileLeases, SavedVersion};
use crate::store::{ProfileRecord, StoreError};
use crate::team::Team;

/// The bytes of an object that are read first. Most heads are shorter.
const FIRST_BYTES: u64 = 64 * 1024;

/// An error of a rebuild.
#[derive(Debug, Error)]
pub(crate) enum RebuildError {
    #[error("cannot read the profiles: {0}")]
    Bucket(#[from] BucketError),
    #[error("cannot write to the store: {0}")]
    Store(#[from] StoreError),
}

/// The result of a rebuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    /// Profiles that the store did not know.
    pub recorded: usize,
    /// Profiles that the store knows, or that a session saves to.
    pub known: usize,
    /// Profiles whose last version is damaged or gone.
    pub damaged: usize,
}

/// Records the last version of each profile in `bucket` that the store does not know.
pub(crate) async fn rebuild_records(
    bucket: &Bucket,
    leases: &ProfileLeases,
) -> Result<Rebuilt, RebuildError> {
    let mut rebuilt = Rebuilt::default();
    let newest = newest_versions(bucket).await?;
    if !newest.is_empty() {
        leave_mark(bucket).await?;
    }
    for (id, (_, object)) in newest {
        let Some(found) = read_version(bucket, &id, object).await? else {
            tracing::warn!(file = id, "damaged profile not recorded");
            rebuilt.damaged += 1;
            continue;
        };
        if leases.rebuild(&found).await? {
            rebuilt.recorded += 1;
        } else {
            rebuilt.known += 1;
        }
    }
    Ok(rebuilt)
}

/// Returns the version with the highest fence of each profile.
async fn newest_versions(
    bucket: &Bucket,
) -> Result<BTreeMap<String, (i64, StoredObject)>, BucketError> {
    let mut newest: BTreeMap<String, (i64, StoredObject)> = BTreeMap::new();
    let mut listed = bucket.list(DIR);
    while let Some(object) = listed.try_next().await? {
        let Some((id, _, Content::Version { fence })) = parse_key(&object.key) else {
            continue;
        };
        // A session has one version. Its object is complete, as all objects are.
        if newest.get(id).is_none_or(|(known, _)| *known < fence) {
            newest.insert(id.to_owned(), (fence, object));
        }
    }
    Ok(newest)
}

/// Reads the head of a version. Returns `None` if it is damaged or gone.
async fn read_version(
    bucket: &Bucket,
    id: &str,
    object: StoredObject,
) -> Result<Option<SavedVersion>, BucketError> {
    // A range of an empty object is an error.
    if object.bytes == 0 {
        return Ok(None);
    }
    let mut bytes = FIRST_BYTES;
    let head = loop {
        let start = match bucket.read_start(&object.key, bytes).await {
            Ok(start) => start,
            // A cleanup has removed it since it was listed.
            Err(BucketError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        match Head::read(&mut start.as_ref().take(bytes)) {
            Ok(head) => break head,
            // The head may be longer.
            Err(_) if bytes == FIRST_BYTES && object.bytes > FIRST_BYTES => {
                bytes = u64::from(MAX_HEAD_BYTES) + START_BYTES as u64;
            }
            Err(_) => return Ok(None),
        }
    };
    Ok(describe(head, id, object).ok())
}

fn describe(head: Head, id: &str, object: StoredObject) -> io::Result<SavedVersion> {
    let invalid = || io::Error::from(ErrorKind::InvalidData);
    let profile = ProfileId::new(Team::from(head.team), head.name);
    if profile.id != id || version_key(id, &head.version) != object.key {
        return Err(invalid());
    }
    Ok(SavedVersion {
        record: ProfileRecord {
            id: profile.id,
            team: profile.team,
            name: profile.name,
            size_bytes: object.bytes,
            saved_at: Timestamp::from_millisecond(head.saved_at_ms).map_err(|_| invalid())?,
        },
        version: head.version,
        object: object.key,
    })
}
