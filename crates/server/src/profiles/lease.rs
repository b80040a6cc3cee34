//! The lease of a session on a profile, wherever the profile is.

use std::fs::File;
use std::io;

use hearth_browser::CookieJar;
use jiff::Timestamp;

use super::checkout::{CheckedOut, CommitError};
use super::files::FileLease;
use super::objects::ObjectLease;
use crate::store::StoreError;
use crate::store::cluster::LeaseOwner;

/// A lease of a session on a profile.
#[derive(Debug)]
pub(crate) struct ProfileLease(Place);

#[derive(Debug)]
enum Place {
    File(FileLease),
    Object(ObjectLease),
}

impl From<FileLease> for ProfileLease {
    fn from(lease: FileLease) -> ProfileLease {
        ProfileLease(Place::File(lease))
    }
}

impl From<ObjectLease> for ProfileLease {
    fn from(lease: ObjectLease) -> ProfileLease {
        ProfileLease(Place::Object(lease))
    }
}

impl ProfileLease {
    /// Returns the name of the profile.
    pub fn name(&self) -> &str {
        match &self.0 {
            Place::File(lease) => lease.name(),
            Place::Object(lease) => lease.name(),
        }
    }

    /// Returns true if the session saves its changes.
    pub fn saves(&self) -> bool {
        match &self.0 {
            Place::File(lease) => lease.saves(),
            Place::Object(lease) => lease.saves(),
        }
    }

    /// Passes the last saved version to `unpack`, if there is one, and returns the state that is
    /// not part of it. An error changes nothing.
    pub async fn checkout<F>(&self, unpack: impl FnOnce(File) -> F) -> io::Result<CheckedOut>
    where
        F: Future<Output = io::Result<()>>,
    {
        match &self.0 {
            Place::File(lease) => lease.checkout(unpack).await,
            Place::Object(lease) => lease.checkout(unpack).await,
        }
    }

    /// Returns true if a checkpoint was written.
    pub async fn has_checkpoint(&self) -> bool {
        match &self.0 {
            Place::File(lease) => lease.has_checkpoint().await,
            Place::Object(lease) => lease.has_checkpoint().await,
        }
    }

    /// Moves the last saved version aside, because no browser starts with it.
    pub async fn reject(&self) -> io::Result<()> {
        match &self.0 {
            Place::File(lease) => lease.reject().await,
            Place::Object(lease) => lease.reject().await,
        }
    }

    /// Writes a checkpoint of all cookies of the browser, unless they are unchanged. Does nothing
    /// for a session that does not save, or has saved already.
    pub async fn checkpoint(&self, cookies: CookieJar, now: Timestamp) -> io::Result<()> {
        match &self.0 {
            Place::File(lease) => lease.checkpoint(cookies, now).await,
            Place::Object(lease) => lease.checkpoint(cookies, now).await,
        }
    }

    /// Saves the data that `pack` writes, with `cookies` that the browser's directory does not
    /// hold. An error leaves the old version unchanged.
    pub async fn commit<F>(
        &self,
        cookies: CookieJar,
        now: Timestamp,
        pack: impl FnOnce(File) -> F,
    ) -> Result<(), CommitError>
    where
        F: Future<Output = io::Result<()>>,
    {
        match &self.0 {
            Place::File(lease) => Ok(lease.commit(cookies, now, pack).await?),
            Place::Object(lease) => lease.commit(cookies, now, pack).await,
        }
    }

    /// Releases the right to save, unless the profile is still being saved.
    pub async fn release(&self) {
        match &self.0 {
            Place::File(lease) => lease.release().await,
            Place::Object(lease) => lease.release().await,
        }
    }

    /// Takes the lease again after the store has forgotten it, or the node has registered again.
    /// Returns false if the session cannot save any more, because another one has the lease or has
    /// saved. Returns true for a lease that does not save, and for one of a file.
    pub async fn reacquire(&self, owner: LeaseOwner<'_>) -> Result<bool, StoreError> {
        match &self.0 {
            Place::File(_) => Ok(true),
            Place::Object(lease) => lease.reacquire(owner).await,
        }
    }
}
