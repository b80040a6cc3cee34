//! The nodes whose connections this node accepts.

use std::sync::Arc;
use std::time::Duration;

use hearth_peer::{Fingerprint, KnownPeers, Refreshing};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::cluster::View;

/// The maximum time until the next look at the nodes.
const LOOK_TIME: Duration = Duration::from_millis(1_500);

/// The other nodes that are alive, by their certificates.
#[derive(Debug)]
pub(crate) struct ViewPeers {
    views: watch::Receiver<Arc<View>>,
}

impl ViewPeers {
    /// Accepts the nodes of the current view.
    pub fn new(views: watch::Receiver<Arc<View>>) -> ViewPeers {
        ViewPeers { views }
    }
}

impl KnownPeers for ViewPeers {
    fn knows(&self, fingerprint: &Fingerprint) -> bool {
        let view = self.views.borrow();
        view.peers().any(|node| node.fingerprint == *fingerprint)
    }

    fn refresh(&self) -> Refreshing<'_> {
        let mut views = self.views.clone();
        Box::pin(async move {
            views.mark_unchanged();
            // A look that finds nothing new, or fails, leaves the view as it is.
            let _ = timeout(LOOK_TIME, views.changed()).await;
        })
    }
}
