//! Opening the profiles: files in the data directory, or the object storage of a cluster.

use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::prepare::bad_data_dir;
use crate::certificate_authorities::CertificateAuthorities;
use crate::config::{Config, ConfigError, CurrentLimits};
use crate::metrics::Metrics;
use crate::profiles::{ClusterProfiles, OpenError, Profiles, profiles_dir};
use crate::store::Store;
use crate::store::cluster::{Life, ProfileLeases};

/// The parts of a server that profiles need.
#[derive(Debug)]
pub(super) struct OpenProfiles<'a> {
    pub config: &'a Config,
    pub store: &'a Store,
    pub authorities: Option<&'a CertificateAuthorities>,
    pub limits: &'a CurrentLimits,
    pub metrics: &'a Arc<Metrics>,
    /// Owns the tasks that save, which end with `stop`.
    pub tasks: &'a TaskTracker,
    pub stop: &'a CancellationToken,
}

/// Opens the profiles of a server. An object storage need not answer.
pub(super) async fn open_profiles(spec: OpenProfiles<'_>) -> anyhow::Result<Arc<Profiles>> {
    let dir = &spec.config.data_dir;
    let place = spec
        .config
        .cluster
        .as_ref()
        .and_then(|cluster| cluster.profile_store.as_ref());
    let Some(place) = place else {
        let opened = Profiles::open(profiles_dir(dir), spec.store.clone()).await;
        return Ok(opened.map_err(|error| bad_profiles(&error))?);
    };
    let database = spec.store.postgres().context("a cluster has a database")?;
    let opened = Profiles::open_in_cluster(ClusterProfiles {
        place,
        authorities: spec.authorities,
        data_dir: dir,
        leases: ProfileLeases::new(database.clone()),
        limits: spec.limits.clone(),
        metrics: Arc::clone(spec.metrics),
        tasks: spec.tasks.clone(),
        stop: spec.stop.clone(),
    });
    Ok(opened.await.map_err(|error| bad_profiles(&error))?)
}

/// Starts the tasks of profiles on a node that is registered.
pub(super) async fn start_profiles(profiles: &Profiles, life: &Life) {
    match profiles.resume_saves(&life.name, life.epoch).await {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "packed profiles of an earlier process found"),
        Err(error) => {
            tracing::error!(%error, "packed profiles of an earlier process not read");
        }
    }
    profiles.keep_clean();
}

fn bad_profiles(error: &OpenError) -> ConfigError {
    match error {
        OpenError::Bucket(error) => {
            ConfigError::new("HEARTH_PROFILE_STORE", format!("cannot use it: {error}")).fixed_by(
                "set HEARTH_PROFILE_STORE to a bucket or a directory that this server can use",
            )
        }
        OpenError::Dir(_) | OpenError::Store(_) => {
            bad_data_dir(format!("cannot use the profiles: {error}"))
        }
    }
}
