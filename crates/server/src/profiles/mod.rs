//! Browser profiles, which outlive sessions. Each profile is one file in the data directory.
//!
//! A session *checks out* a profile: it gets a copy of the last saved version and a
//! [`ProfileLease`]. When a session that saves ends cleanly, it *commits*: the browser's directory
//! is packed into a draft beside the file, and the complete draft replaces the file. Sessions that
//! read the old version at that moment keep it open. A profile has one saver at a time. The lease
//! exists only in memory, so a crashed server leaves no profile locked.
//!
//! While the saver runs, its cookies are periodically written beside the file as a *checkpoint*. A
//! crash therefore loses minutes of changes, but not the login. A commit makes the checkpoint void.
//!
//! Profiles are packed and unpacked under the session's user id (`hearth_sandbox`), and the server
//! never reads files that a browser wrote. Names never become part of a path: a file is named after
//! the SHA-256 of team and name. The store has a list of profiles. If the list and the files
//! differ, the files take precedence (`reconcile`).

mod file;
mod lease;
mod reconcile;

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hearth_contract::ProfileItem;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

pub(crate) use self::lease::{CheckedOut, ProfileLease};
use crate::clock;
use crate::store::{ProfileRecord, Store, StoreError};
use crate::team::Team;
use crate::token::hex;

/// Returns the directory of all profiles in the data directory.
pub(crate) fn profiles_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("profiles")
}

/// The extension of checkpoints.
const CHECKPOINT: &str = "checkpoint";

/// The extension of damaged files. The last one of each profile is kept.
const DAMAGED: &str = "damaged";

/// The profiles of this server.
#[derive(Debug)]
pub(crate) struct Profiles {
    dir: PathBuf,
    store: Store,
    /// Ids of profiles that a session saves to, or that are being deleted.
    leased: Mutex<HashSet<String>>,
    /// Locked while a file is replaced or moved.
    moving: Mutex<()>,
}

/// The identity of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileId {
    pub team: Team,
    pub name: String,
    /// SHA-256 of team and name, in hex.
    id: String,
}

impl ProfileId {
    pub fn new(team: Team, name: String) -> ProfileId {
        // The length separates team and name unambiguously.
        let mut digest = Sha256::new();
        digest.update((team.len() as u64).to_le_bytes());
        digest.update(team.as_bytes());
        digest.update(name.as_bytes());
        let id = hex(&digest.finalize());
        ProfileId { team, name, id }
    }
}

/// The right to change a profile. Dropping it releases the profile.
#[derive(Debug)]
struct SaveLease {
    profiles: Arc<Profiles>,
    id: String,
}

impl Drop for SaveLease {
    fn drop(&mut self) {
        self.profiles
            .leased
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

impl Profiles {
    /// Opens or creates the directory, removes drafts that a crash left, and updates the list of
    /// profiles in the store.
    pub async fn open(dir: PathBuf, store: Store) -> Result<Arc<Profiles>, OpenError> {
        let path = dir.clone();
        let found = spawn_blocking(move || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            reconcile::scan(&path)
        });
        let found = found.await.map_err(io::Error::other)??;
        store.replace_profiles(&found).await?;
        Ok(Arc::new(Profiles {
            dir,
            store,
            leased: Mutex::default(),
            moving: Mutex::default(),
        }))
    }

    /// Leases a profile, which may not exist yet, to a session. Returns `None` if the session saves
    /// and another session already saves to the profile.
    pub fn lease(self: &Arc<Self>, profile: ProfileId, saves: bool) -> Option<ProfileLease> {
        let lease = if saves {
            Some(self.lease_to_save(&profile.id)?)
        } else {
            None
        };
        Some(ProfileLease::new(Arc::clone(self), profile, lease))
    }

    /// Returns the profiles of a team, sorted by name.
    pub async fn list(&self, team: &Team) -> Result<Vec<ProfileItem>, ProfileError> {
        let records = self.store.profiles(team).await?;
        let dir = self.dir.clone();
        // The store may list profiles whose files are gone.
        let exists = move |record: &ProfileRecord| {
            let path = dir.join(&record.id);
            path.exists() || path.with_added_extension(CHECKPOINT).exists()
        };
        let existing =
            spawn_blocking(move || records.into_iter().filter(exists).collect::<Vec<_>>());
        let mut records = existing.await.map_err(io::Error::other)?;
        records.sort_by(|one, other| one.name.cmp(&other.name));
        let leased = self.leased.lock().unwrap_or_else(PoisonError::into_inner);
        let items = records.into_iter().map(|record| ProfileItem {
            size_bytes: record.size_bytes,
            saved_at: clock::format(record.saved_at),
            in_use: leased.contains(&record.id),
            name: record.name,
        });
        Ok(items.collect())
    }

    /// Deletes a profile, if it exists. Sessions that use a copy keep it.
    pub async fn delete(self: &Arc<Self>, profile: ProfileId) -> Result<(), ProfileError> {
        let Some(lease) = self.lease_to_save(&profile.id) else {
            return Err(ProfileError::InUse(profile.name));
        };
        let profiles = Arc::clone(self);
        let removing = spawn_blocking(move || {
            let path = profiles.path(&lease.id);
            for file in [
                path.with_added_extension(CHECKPOINT),
                path.with_added_extension(DAMAGED),
                path.clone(),
            ] {
                file::remove(&file)?;
            }
            file::sync_parent(&path)?;
            Ok(lease)
        });
        let removed: io::Result<SaveLease> = removing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let lease = removed.map_err(ProfileError::NotRemoved)?;
        if let Err(error) = self.store.remove_profile(&lease.id).await {
            // The profile is deleted in spite of this error.
            tracing::warn!(profile = lease.id, %error, "record of a deleted profile not removed");
        }
        Ok(())
    }

    fn lease_to_save(self: &Arc<Self>, id: &str) -> Option<SaveLease> {
        let is_free = self
            .leased
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned());
        is_free.then(|| SaveLease {
            profiles: Arc::clone(self),
            id: id.to_owned(),
        })
    }

    fn is_leased(&self, id: &str) -> bool {
        self.leased
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// Moves a damaged file aside, unless it was replaced in the meantime. Blocks.
    fn move_aside(&self, id: &str, damaged: &File) -> io::Result<()> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(id);
        let (there, ours) = (fs::metadata(&path), damaged.metadata()?);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            fs::rename(&path, path.with_added_extension(DAMAGED))?;
            file::sync_parent(&path)?;
        }
        Ok(())
    }
}

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
    Store(#[from] StoreError),
}

/// Opens a file, if it exists.
fn open_if_exists(path: &Path) -> io::Result<Option<File>> {
    // Opening a FIFO at this path must not block.
    match File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
    {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests;
