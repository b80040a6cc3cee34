//! Opening the profiles: files of this server, or the profiles of a cluster.

use std::sync::Arc;

use super::prepare::bad_data_dir;
use super::services::Tasks;
use crate::certificate_authorities::CertificateAuthorities;
use crate::cluster::Cluster;
use crate::config::{Config, ConfigError, CurrentLimits};
use crate::metrics::Metrics;
use crate::profiles::{ClusterProfiles, Profiles, profiles_dir};
use crate::store::Store;
use crate::store::cluster::ProfileLeases;

/// Opens the profiles of a server.
pub(super) async fn open_profiles(
    config: &Config,
    store: &Store,
    authorities: Option<&CertificateAuthorities>,
    limits: &CurrentLimits,
    metrics: &Arc<Metrics>,
    tasks: &Tasks,
) -> Result<Arc<Profiles>, ConfigError> {
    let dir = &config.data_dir;
    let opened = match (&config.cluster, store.postgres()) {
        (Some(cluster), Some(pool)) => {
            let spec = ClusterProfiles {
                place: cluster.profile_store.as_ref(),
                authorities,
                data_dir: dir,
                leases: ProfileLeases::new(pool.clone()),
                limits: limits.clone(),
                metrics: Arc::clone(metrics),
                tasks: tasks.tracker.clone(),
                stop: tasks.stop.clone(),
            };
            Profiles::open_in_cluster(spec).await
        }
        _ => Profiles::open(profiles_dir(dir), store.clone()).await,
    };
    opened.map_err(|error| bad_data_dir(format!("cannot use the profiles: {error}")))
}

/// Starts to save the profiles that an earlier life of this node could not save.
pub(super) async fn resume_saves(profiles: &Profiles, cluster: &Cluster) {
    let Some(registered) = cluster.current() else {
        return;
    };
    let life = registered.life;
    match profiles.resume_saves(&life.name, life.epoch).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "unsaved profiles of an earlier process found"),
        Err(error) => tracing::warn!(%error, "unsaved profiles not read"),
    }
}
