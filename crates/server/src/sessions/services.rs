//! The services that every session reports to.

use std::sync::Arc;

use tokio::sync::Notify;

use super::node::reservations::Reservations;
use super::orphans::Orphans;
use super::recent_load::RecentLoad;
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::test_mode::TestMode;

/// The services of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub store: Store,
    pub metrics: Arc<Metrics>,
    /// `None` if this server is not a node of a cluster.
    pub cluster: Option<Arc<Cluster>>,
    /// `None` unless the server is in test mode.
    pub test_mode: Option<Arc<TestMode>>,
    /// The sessions that this node is creating, for the cluster.
    pub(super) reservations: Arc<Reservations>,
    pub(super) orphans: Arc<Orphans>,
    pub(super) load: Arc<RecentLoad>,
    /// Notified when nothing of an ended session remains.
    pub(super) cleaned: Arc<Notify>,
}

impl Services {
    pub fn new(
        store: Store,
        metrics: Arc<Metrics>,
        cluster: Option<Arc<Cluster>>,
        test_mode: Option<Arc<TestMode>>,
    ) -> Services {
        Services {
            store,
            metrics,
            cluster,
            test_mode,
            reservations: Arc::default(),
            orphans: Arc::default(),
            load: RecentLoad::new(),
            cleaned: Arc::default(),
        }
    }
}
