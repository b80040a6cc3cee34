//! The profiles of a server on its own disk: the list, the leases and deletion.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hearth_contract::ProfileItem;
use tokio::task::spawn_blocking;

use super::reconcile::scan;
use crate::clock;
use crate::profiles::error::{OpenError, ProfileError};
use crate::profiles::file::{CHECKPOINT, DAMAGED, remove, sync_parent};
use crate::profiles::id::ProfileId;
use crate::store::{ProfileRecord, Store};
use crate::team::Team;

/// The profiles of this server, in files.
#[derive(Debug)]
pub(in crate::profiles) struct ProfileFiles {
    dir: PathBuf,
    pub(super) store: Store,
    /// Ids of profiles that a session saves to, or that are being deleted.
    leased: Mutex<HashSet<String>>,
    /// Locked while a file is replaced or moved.
    pub(super) moving: Mutex<()>,
}

/// The right to change a profile. Dropping it releases the profile.
#[derive(Debug)]
pub(super) struct SaveLease {
    profiles: Arc<ProfileFiles>,
    pub(super) id: String,
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

impl ProfileFiles {
    /// Opens or creates the directory, removes drafts that a crash left, and updates the list of
    /// profiles in the store.
    pub async fn open(dir: PathBuf, store: Store) -> Result<Arc<ProfileFiles>, OpenError> {
        let path = dir.clone();
        let found = spawn_blocking(move || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            scan(&path)
        });
        let found = found.await.map_err(io::Error::other)??;
        store.correct_profiles(&found).await?;
        Ok(Arc::new(ProfileFiles {
            dir,
            store,
            leased: Mutex::default(),
            moving: Mutex::default(),
        }))
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
        let name = profile.name;
        let profiles = Arc::clone(self);
        let removing = spawn_blocking(move || {
            let path = profiles.path(&lease.id);
            for file in [
                path.with_added_extension(CHECKPOINT),
                path.with_added_extension(DAMAGED),
                path.clone(),
            ] {
                remove(&file)?;
            }
            sync_parent(&path)?;
            Ok(lease)
        });
        let removed: io::Result<SaveLease> = removing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let lease = removed.map_err(ProfileError::NotRemoved)?;
        if let Err(error) = self.store.remove_profile(&lease.id).await {
            // The profile is deleted in spite of this error.
            tracing::warn!(profile = name, %error, "record of a deleted profile not removed");
        }
        Ok(())
    }

    pub(super) fn lease_to_save(self: &Arc<Self>, id: &str) -> Option<SaveLease> {
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

    pub(super) fn is_leased(&self, id: &str) -> bool {
        self.leased
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    pub(super) fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// Moves a damaged file aside, unless it was replaced in the meantime. Blocks.
    pub(super) fn move_aside(&self, id: &str, damaged: &File) -> io::Result<()> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(id);
        let (there, ours) = (fs::metadata(&path), damaged.metadata()?);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            fs::rename(&path, path.with_added_extension(DAMAGED))?;
            sync_parent(&path)?;
        }
        Ok(())
    }
}
