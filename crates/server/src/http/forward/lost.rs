//! The end of a node, as seen by a node that waits for it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::cluster::{Life, View};

/// The time for a node that leaves in an orderly way to finish its responses.
const FINISH_TIME: Duration = Duration::from_secs(1);

/// A receiver of the nodes that are alive.
pub(super) type Views = watch::Receiver<Arc<View>>;

/// Waits until a node is no longer alive. Its connections may stay open although it is gone, for
/// example because its process is stopped.
pub(super) async fn lost(mut views: Views, life: Life) {
    let is_over = |view: &Arc<View>| view.by_life(&life).is_none();
    if views.wait_for(is_over).await.is_err() {
        // Nobody looks at the nodes any more, because this server ends.
        pending::<()>().await;
    }
    sleep_until(Instant::now() + FINISH_TIME).await;
}
