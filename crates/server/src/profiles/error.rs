//! Errors of profiles.

use std::io;

use crate::object_storage::OpenBucketError;
use crate::store::StoreError;

/// An error from listing or deleting profiles.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// A session saves to the profile of this name.
    #[error("the profile {0} is in use")]
    InUse(String),
    #[error("cannot remove a profile: {0}")]
    NotRemoved(io::Error),
    #[error(transparent)]
    Files(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An error from opening the profiles.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Dir(#[from] io::Error),
    #[error(transparent)]
    Bucket(#[from] OpenBucketError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
