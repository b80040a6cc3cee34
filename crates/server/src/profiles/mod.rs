//! What stays of a browser from one session to the next: one file a profile, in a folder of the
//! data directory.
//!
//! A session *checks out* a profile: it gets a copy of what was saved last, and a [`Hold`] on the
//! profile. At its clean end the holder that saves *commits*: the browser's folder is packed beside
//! the file, and put in its place when it is whole. Whoever copies the version before keeps what it
//! has opened. There is one saver a profile at a time; that is known in memory alone, so a server
//! that crashed keeps nobody out.
//!
//! Between the two the saver's cookies are written down now and then, beside the file, as a
//! *checkpoint*. A crash so loses minutes and not the login. A commit makes it void.
//!
//! What is in a profile is packed and unpacked under the session's user id (`hearth_sandbox`);
//! nobody here looks into it. Names never touch a path: files are called by the SHA-256 of team and
//! name. The store knows the profiles for lists; where it differs the files are right (`correct`).

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

pub(crate) use self::lease::{CheckedOut, Hold};
use crate::clock;
use crate::store::{ProfileRecord, Store, StoreError};
use crate::team::Team;
use crate::token::hex;

/// The folder of all profiles below the data directory.
pub(crate) fn profiles_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("profiles")
}

/// The end of a checkpoint's name.
const CHECKPOINT: &str = "checkpoint";

/// The end of the name of a file that was set aside. The last one of a profile is kept.
const DAMAGED: &str = "damaged";

/// All profiles of this server.
#[derive(Debug)]
pub(crate) struct Profiles {
    folder: PathBuf,
    store: Store,
    /// The ids of profiles that a session saves to, or that are just being forgotten.
    leased: Mutex<HashSet<String>>,
    /// Held while a file takes another one's place, or leaves its own.
    moving: Mutex<()>,
}

/// Which profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileId {
    pub team: Team,
    pub name: String,
    /// SHA-256 of both, in hex.
    id: String,
}

impl ProfileId {
    pub fn new(team: Team, name: String) -> ProfileId {
        // The length keeps apart what would otherwise read the same.
        let mut digest = Sha256::new();
        digest.update((team.len() as u64).to_le_bytes());
        digest.update(team.as_bytes());
        digest.update(name.as_bytes());
        let id = hex(&digest.finalize());
        ProfileId { team, name, id }
    }
}

/// The right to change a profile, until it is dropped.
#[derive(Debug)]
struct Lease {
    profiles: Arc<Profiles>,
    id: String,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.profiles
            .leased
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

impl Profiles {
    /// Opens the folder, or makes it. What a crash has left half-written goes, and the store is
    /// told which profiles there are.
    pub async fn open(folder: PathBuf, store: Store) -> Result<Arc<Profiles>, OpenError> {
        let looked = folder.clone();
        let found = spawn_blocking(move || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&looked)?;
            fs::set_permissions(&looked, Permissions::from_mode(0o700))?;
            reconcile::look(&looked)
        });
        let found = found.await.map_err(io::Error::other)??;
        store.correct_profiles(&found).await?;
        Ok(Arc::new(Profiles {
            folder,
            store,
            leased: Mutex::default(),
            moving: Mutex::default(),
        }))
    }

    /// A session's hold on a profile, which may not be there yet. None when the session is to save
    /// to it and somebody else already does.
    pub fn hold(self: &Arc<Self>, profile: ProfileId, saves: bool) -> Option<Hold> {
        let lease = if saves {
            Some(self.lease(&profile.id)?)
        } else {
            None
        };
        Some(Hold::new(Arc::clone(self), profile, lease))
    }

    /// A team's profiles, by name.
    pub async fn list(&self, team: &Team) -> Result<Vec<ProfileItem>, ProfileError> {
        let records = self.store.profiles(team).await?;
        let folder = self.folder.clone();
        // What is not there any more is no profile, whatever the store knows.
        let is_there = move |record: &ProfileRecord| {
            let place = folder.join(&record.id);
            place.exists() || place.with_added_extension(CHECKPOINT).exists()
        };
        let looking =
            spawn_blocking(move || records.into_iter().filter(is_there).collect::<Vec<_>>());
        let mut records = looking.await.map_err(io::Error::other)?;
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

    /// Forgets a profile; one that is not there is fine. Sessions that have a copy of it keep that.
    pub async fn delete(self: &Arc<Self>, profile: ProfileId) -> Result<(), ProfileError> {
        let Some(lease) = self.lease(&profile.id) else {
            return Err(ProfileError::InUse(profile.name));
        };
        let profiles = Arc::clone(self);
        let removing = spawn_blocking(move || {
            let place = profiles.place(&lease.id);
            for file in [
                place.with_added_extension(CHECKPOINT),
                place.with_added_extension(DAMAGED),
                place.clone(),
            ] {
                file::remove(&file)?;
            }
            file::sync_folder_of(&place)?;
            Ok(lease)
        });
        let removed: io::Result<Lease> = removing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let lease = removed.map_err(ProfileError::NotRemoved)?;
        if let Err(error) = self.store.forget_profile(&lease.id).await {
            // It is gone all the same.
            tracing::warn!(profile = lease.id, %error, "a profile that was deleted is still in the store");
        }
        Ok(())
    }

    fn lease(self: &Arc<Self>, id: &str) -> Option<Lease> {
        let is_free = self
            .leased
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned());
        is_free.then(|| Lease {
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

    fn place(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// Puts a file aside that is not what was written, unless another one has taken its place
    /// meanwhile. Blocks.
    fn set_aside(&self, id: &str, damaged: &File) -> io::Result<()> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.place(id);
        let (there, ours) = (fs::metadata(&place), damaged.metadata()?);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            fs::rename(&place, place.with_added_extension(DAMAGED))?;
            file::sync_folder_of(&place)?;
        }
        Ok(())
    }
}

/// The reason why profiles were not listed, or one was not deleted.
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

/// Why the profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file that may not be there.
fn open_if_there(place: &Path) -> io::Result<Option<File>> {
    // Whatever else has been put there keeps nobody waiting.
    match File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(place)
    {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests;
