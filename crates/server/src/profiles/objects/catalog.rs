//! The profiles of a cluster: the list, deletion, and the sessions that still save.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hearth_contract::ProfileItem;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::keys::{checkpoint_key, damaged_key};
use crate::certificate_authorities::CertificateAuthorities;
use crate::clock;
use crate::config::CurrentLimits;
use crate::metrics::Metrics;
use crate::object_storage::Bucket;
use crate::outgoing::TrustError;
use crate::profiles::error::{OpenError, ProfileError};
use crate::profiles::file::{DRAFT, blocking};
use crate::profiles::id::ProfileId;
use crate::store::StoreError;
use crate::store::cluster::{FencedLease, ProfileLeases};
use crate::team::Team;

/// The extension of files that are being received. They have no name while they are used.
const RECEIVED: &str = "part";

/// The number of attempts to release a lease, and the time between two. After a minute, the node
/// releases all leases that it does not know.
const RELEASE_ATTEMPTS: u32 = 12;
const RELEASE_INTERVAL: Duration = Duration::from_secs(5);

/// The times for which a session and a node try to save a profile.
#[derive(Clone, Copy, Debug)]
pub(in crate::profiles) struct SaveTimes {
    /// The time for which the end of a session waits until its profile is saved. A client that
    /// deletes a session waits ten seconds.
    pub wait: Duration,
    /// The time between two attempts.
    pub retry: Duration,
    /// The time after which a profile is given up. Its file stays, and other sessions may save.
    pub give_up: Duration,
}

impl Default for SaveTimes {
    fn default() -> SaveTimes {
        SaveTimes {
            wait: Duration::from_secs(7),
            retry: Duration::from_secs(5),
            give_up: Duration::from_mins(5),
        }
    }
}

/// The parts of a server that profiles in object storage need.
#[derive(Debug)]
pub(in crate::profiles) struct ObjectsSpec {
    pub bucket: Bucket,
    /// The directory of packed profiles that wait.
    pub dir: PathBuf,
    pub leases: ProfileLeases,
    pub limits: CurrentLimits,
    pub metrics: Arc<Metrics>,
    pub times: SaveTimes,
    /// Owns the tasks that save, which end with `stop`.
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

/// The profiles of a cluster, in object storage.
#[derive(Debug)]
pub(in crate::profiles) struct ProfileObjects {
    pub(super) bucket: Bucket,
    pub(super) dir: PathBuf,
    pub(super) leases: ProfileLeases,
    limits: CurrentLimits,
    pub(super) metrics: Arc<Metrics>,
    pub(super) times: SaveTimes,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// The sessions whose profile is being saved.
    saving: Mutex<HashSet<Uuid>>,
}

impl ProfileObjects {
    /// Opens or creates the directory of profiles that wait, and removes what a crash left half
    /// written.
    pub async fn open(spec: ObjectsSpec) -> Result<Arc<ProfileObjects>, OpenError> {
        let dir = spec.dir.clone();
        blocking(move || prepare(&dir)).await?;
        Ok(Arc::new(ProfileObjects {
            bucket: spec.bucket,
            dir: spec.dir,
            leases: spec.leases,
            limits: spec.limits,
            metrics: spec.metrics,
            times: spec.times,
            tasks: spec.tasks,
            stop: spec.stop,
            saving: Mutex::default(),
        }))
    }

    /// Returns the profiles of a team, sorted by name.
    pub async fn list(&self, team: &Team) -> Result<Vec<ProfileItem>, ProfileError> {
        let mut profiles = self.leases.of_team(team).await?;
        profiles.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        let items = profiles.into_iter().map(|(record, in_use)| ProfileItem {
            size_bytes: record.size_bytes,
            saved_at: clock::format(record.saved_at),
            in_use,
            name: record.name,
        });
        Ok(items.collect())
    }

    /// Deletes a profile, if it exists. Sessions that use a copy keep it.
    pub async fn delete(&self, profile: ProfileId) -> Result<(), ProfileError> {
        let Some(object) = self.leases.delete(&profile.id).await? else {
            return Err(ProfileError::InUse(profile.name));
        };
        // The profile is deleted. Objects that remain are removed later.
        let keys = [checkpoint_key(&profile.id), damaged_key(&profile.id)];
        for key in keys.into_iter().chain(object) {
            if let Err(error) = self.bucket.delete(&key).await {
                tracing::warn!(profile = profile.name, %error, "object of a deleted profile not removed");
                break;
            }
        }
        Ok(())
    }

    /// Makes new connections trust the authorities of the machine and `own`. Blocks.
    pub fn trust(&self, own: Option<&CertificateAuthorities>) -> Result<(), TrustError> {
        self.bucket.trust(own)
    }

    /// Returns the leases of the cluster.
    pub fn leases(&self) -> &ProfileLeases {
        &self.leases
    }

    /// Returns the maximum size of an object with a profile.
    pub(super) fn max_bytes(&self) -> u64 {
        self.limits.get().disk_mb << 20
    }

    /// Returns a new file without a name.
    pub(super) async fn nameless_file(&self) -> io::Result<File> {
        let path = self.dir.join(format!("{}.{RECEIVED}", Uuid::now_v7()));
        blocking(move || {
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        })
        .await
    }

    /// Returns the sessions whose profile is being saved.
    pub fn saving(&self) -> Vec<Uuid> {
        let saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        saving.iter().copied().collect()
    }

    /// Counts a session whose profile is being saved, until the guard is dropped.
    pub(super) fn begin_saving(self: &Arc<Self>, session_id: Uuid) -> Saving {
        self.saving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session_id);
        Saving {
            objects: Arc::clone(self),
            session_id,
        }
    }

    /// Releases a lease. If the store does not answer, a task repeats it.
    pub(super) async fn release(self: &Arc<Self>, lease: FencedLease) {
        if self.try_release(&lease).await.is_ok() {
            return;
        }
        let objects = Arc::clone(self);
        self.tasks.spawn(async move {
            for _ in 1..RELEASE_ATTEMPTS {
                tokio::select! {
                    () = objects.stop.cancelled() => return,
                    () = sleep_until(Instant::now() + RELEASE_INTERVAL) => {}
                }
                if objects.try_release(&lease).await.is_ok() {
                    return;
                }
            }
            tracing::warn!(file = lease.profile_id, "profile lease not released");
        });
    }

    async fn try_release(&self, lease: &FencedLease) -> Result<(), StoreError> {
        let releasing = self.leases.release(&lease.profile_id, lease.session_id);
        releasing.await
    }
}

/// A session whose profile is being saved. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Saving {
    objects: Arc<ProfileObjects>,
    session_id: Uuid,
}

impl Drop for Saving {
    fn drop(&mut self) {
        self.objects
            .saving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.session_id);
    }
}

/// Creates the directory, and removes drafts and received files from it. Blocks.
fn prepare(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| [DRAFT, RECEIVED].contains(&extension)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
