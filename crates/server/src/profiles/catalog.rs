//! The profiles of a server or of a cluster, wherever they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearth_contract::ProfileItem;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::error::{OpenError, ProfileError};
use super::files::ProfileFiles;
use super::id::ProfileId;
use super::lease::ProfileLease;
use super::objects::{ObjectsSpec, ProfileObjects, SaveTimes};
use crate::certificate_authorities::CertificateAuthorities;
use crate::config::{CurrentLimits, ProfileStoreSpec};
use crate::metrics::Metrics;
use crate::object_storage::Bucket;
use crate::outgoing::TrustError;
use crate::store::Store;
use crate::store::cluster::{FencedLease, ProfileLeases};
use crate::team::Team;

/// Returns the directory of all profiles in the data directory.
pub(crate) fn profiles_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("profiles")
}

/// The parts of a server that profiles of a cluster need.
#[derive(Debug)]
pub(crate) struct ClusterProfiles<'a> {
    pub place: &'a ProfileStoreSpec,
    pub authorities: Option<&'a CertificateAuthorities>,
    pub data_dir: &'a Path,
    pub leases: ProfileLeases,
    pub limits: CurrentLimits,
    pub metrics: Arc<Metrics>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

/// The profiles that sessions start from and save to.
#[derive(Debug)]
pub(crate) struct Profiles(Place);

#[derive(Debug)]
enum Place {
    Files(Arc<ProfileFiles>),
    Objects(Arc<ProfileObjects>),
}

impl Profiles {
    /// Opens the profiles of a single server, which are files in `dir`. Removes drafts that a crash
    /// left, and updates the list of profiles in the store.
    pub async fn open(dir: PathBuf, store: Store) -> Result<Arc<Profiles>, OpenError> {
        let files = ProfileFiles::open(dir, store).await?;
        Ok(Arc::new(Profiles(Place::Files(files))))
    }

    /// Opens the profiles of a cluster. The object storage need not answer.
    pub async fn open_in_cluster(spec: ClusterProfiles<'_>) -> Result<Arc<Profiles>, OpenError> {
        let place = spec.place.clone();
        let (authorities, metrics) = (spec.authorities.cloned(), Arc::clone(&spec.metrics));
        let opening = tokio::task::spawn_blocking(move || {
            Bucket::open(&place, authorities.as_ref(), metrics)
        });
        let bucket = opening.await.map_err(std::io::Error::other)??;
        let objects = ProfileObjects::open(ObjectsSpec {
            bucket,
            dir: spec.data_dir.join("unsaved"),
            leases: spec.leases,
            limits: spec.limits,
            metrics: spec.metrics,
            times: SaveTimes::default(),
            tasks: spec.tasks,
            stop: spec.stop,
        });
        Ok(Arc::new(Profiles(Place::Objects(objects.await?))))
    }

    /// Leases a profile, which may not exist yet, to a session. A session that saves to a profile
    /// of a cluster passes the lease that it has acquired. Returns `None` if the session saves and
    /// another session already saves to the profile.
    pub fn lease(
        &self,
        profile: ProfileId,
        saves: bool,
        acquired: Option<FencedLease>,
    ) -> Option<ProfileLease> {
        match &self.0 {
            Place::Files(files) => Some(files.lease(profile, saves)?.into()),
            Place::Objects(objects) => {
                if saves && acquired.is_none() {
                    return None;
                }
                Some(objects.lease(profile, acquired.filter(|_| saves)).into())
            }
        }
    }

    /// Returns true if all nodes of a cluster share the profiles.
    pub fn are_shared(&self) -> bool {
        matches!(self.0, Place::Objects(_))
    }

    /// Returns the leases of a cluster that shares the profiles.
    pub fn leases(&self) -> Option<&ProfileLeases> {
        match &self.0 {
            Place::Files(_) => None,
            Place::Objects(objects) => Some(objects.leases()),
        }
    }

    /// Returns the profiles of a team, sorted by name.
    pub async fn list(&self, team: &Team) -> Result<Vec<ProfileItem>, ProfileError> {
        match &self.0 {
            Place::Files(files) => files.list(team).await,
            Place::Objects(objects) => objects.list(team).await,
        }
    }

    /// Deletes a profile, if it exists. Sessions that use a copy keep it.
    pub async fn delete(&self, profile: ProfileId) -> Result<(), ProfileError> {
        match &self.0 {
            Place::Files(files) => files.delete(profile).await,
            Place::Objects(objects) => objects.delete(profile).await,
        }
    }

    /// Returns the sessions that have ended and whose profile is still being saved. They keep their
    /// leases.
    pub fn saving(&self) -> Vec<Uuid> {
        match &self.0 {
            Place::Objects(objects) => objects.saving(),
            Place::Files(_) => Vec::new(),
        }
    }

    /// Starts to save profiles that an earlier life of this node could not save, as the life
    /// `epoch` of `node`. Returns their number.
    pub async fn resume_saves(&self, node: &str, epoch: i64) -> std::io::Result<usize> {
        match &self.0 {
            Place::Objects(objects) => objects.resume_saves(node, epoch).await,
            Place::Files(_) => Ok(0),
        }
    }

    /// Removes objects that no profile needs from time to time, until the server stops. All nodes
    /// take turns.
    pub fn keep_clean(&self) {
        if let Place::Objects(objects) = &self.0 {
            objects.keep_clean();
        }
    }

    /// Makes new connections to the object storage trust the authorities of the machine and `own`.
    /// Blocks.
    pub fn trust(&self, own: Option<&CertificateAuthorities>) -> Result<(), TrustError> {
        match &self.0 {
            Place::Objects(objects) => objects.trust(own),
            Place::Files(_) => Ok(()),
        }
    }
}
