//! Keeps the download behavior of each client and decides which one is in force.
//!
//! A browser context has one download directory: the last client that names one sets it for all,
//! and Chromium returns to its own default when that client leaves. So the behavior of every client
//! is kept, and the client that drives the page decides. The behavior is sent again before a call
//! of a client whose behavior is not in force, and when the client whose behavior is in force
//! leaves.
//!
//! This module contains only tables, which the broker's lock protects.

use std::collections::HashMap;
use std::sync::Arc;

use super::send_queue::ClientId;

/// The maximum size of the params of a call, because they are kept and no budget counts them. Linux
/// limits a path to 4 KiB.
pub(crate) const MAX_BEHAVIOR_BYTES: usize = 8 * 1024;

/// A client's `setDownloadBehavior` call, kept so that it can be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DownloadBehavior {
    pub(crate) client: ClientId,
    pub(crate) method: String,
    pub(crate) params: String,
    /// The session that the call was sent on.
    pub(crate) on: Arc<str>,
}

/// The download behaviors by context. The key of the default context is `None`.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    by_context: HashMap<Option<String>, ContextBehaviors>,
}

#[derive(Debug, Default)]
struct ContextBehaviors {
    /// At most one per client, the latest last.
    all: Vec<DownloadBehavior>,
    in_force: Option<ClientId>,
}

/// The download behavior to restore after a client has gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Restore {
    /// The behavior of an earlier client.
    Client(DownloadBehavior),
    /// Hearth's default, because no remaining client has set a behavior for the default context.
    Default,
}

impl Downloads {
    /// Records the download behavior of a client, which is now in force.
    pub(crate) fn record(&mut self, context: Option<String>, behavior: DownloadBehavior) {
        let behaviors = self.by_context.entry(context).or_default();
        behaviors
            .all
            .retain(|earlier| earlier.client != behavior.client);
        behaviors.in_force = Some(behavior.client);
        behaviors.all.push(behavior);
    }

    /// Records that the browser rejected a client's behavior. It is unknown which behavior is in
    /// force now.
    pub(crate) fn rejected(&mut self, client: ClientId) {
        self.by_context.retain(|_, behaviors| {
            behaviors.all.retain(|behavior| behavior.client != client);
            behaviors.in_force = behaviors.in_force.filter(|in_force| *in_force != client);
            !behaviors.all.is_empty()
        });
    }

    /// Returns the behavior of a client that is about to drive a page of `context`, if another
    /// behavior is in force.
    pub(crate) fn driven(
        &mut self,
        context: Option<&str>,
        client: ClientId,
    ) -> Option<DownloadBehavior> {
        // The usual case: no two clients have set a behavior.
        if self
            .by_context
            .values()
            .all(|behaviors| behaviors.all.len() < 2)
        {
            return None;
        }
        let behaviors = self.by_context.get_mut(&context.map(str::to_owned))?;
        if behaviors.in_force == Some(client) {
            return None;
        }
        let behavior = behaviors
            .all
            .iter()
            .find(|behavior| behavior.client == client)?
            .clone();
        behaviors.in_force = Some(client);
        Some(behavior)
    }

    /// Removes a client. Returns the behaviors to restore in the contexts where it had set one.
    pub(crate) fn left_by(&mut self, client: ClientId) -> Vec<Restore> {
        let mut restored = Vec::new();
        self.by_context.retain(|context, behaviors| {
            let before = behaviors.all.len();
            behaviors.all.retain(|behavior| behavior.client != client);
            if behaviors.all.len() < before {
                // The browser returns to its default even if another client's behavior was in
                // force.
                let in_force = behaviors
                    .all
                    .iter()
                    .find(|behavior| Some(behavior.client) == behaviors.in_force);
                let next = in_force.or(behaviors.all.last());
                behaviors.in_force = next.map(|behavior| behavior.client);
                match next {
                    Some(behavior) => restored.push(Restore::Client(behavior.clone())),
                    None if context.is_none() => restored.push(Restore::Default),
                    None => {}
                }
            }
            !behaviors.all.is_empty()
        });
        restored
    }

    /// Removes a context that is gone.
    pub(crate) fn remove_context(&mut self, context: &str) {
        self.by_context.remove(&Some(context.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ClientId = ClientId(1);
    const TWO: ClientId = ClientId(2);

    fn behavior(client: ClientId) -> DownloadBehavior {
        let params = format!("{{\"downloadPath\":\"/{}\"}}", client.0);
        DownloadBehavior {
            client,
            method: "Browser.setDownloadBehavior".to_owned(),
            params,
            on: "root".into(),
        }
    }

    fn both() -> Downloads {
        let mut downloads = Downloads::default();
        downloads.record(None, behavior(ONE));
        downloads.record(None, behavior(TWO));
        downloads
    }

    #[test]
    fn behavior_of_the_driver_is_restored_once() {
        let mut downloads = both();
        assert_eq!(downloads.driven(None, TWO), None);
        assert_eq!(downloads.driven(None, ONE), Some(behavior(ONE)));
        assert_eq!(downloads.driven(None, ONE), None);
        assert_eq!(downloads.driven(None, TWO), Some(behavior(TWO)));
    }

    #[test]
    fn contexts_and_clients_without_a_behavior_change_nothing() {
        let mut downloads = both();
        assert_eq!(downloads.driven(Some("C"), ONE), None);
        assert_eq!(downloads.driven(None, ClientId(3)), None);
    }

    #[test]
    fn previous_behavior_is_restored_when_a_client_leaves_and_then_the_default() {
        let mut downloads = both();
        assert_eq!(downloads.left_by(TWO), vec![Restore::Client(behavior(ONE))]);
        assert_eq!(downloads.left_by(ONE), vec![Restore::Default]);
        assert_eq!(downloads.left_by(ONE), vec![]);
    }

    #[test]
    fn behavior_in_force_is_restored_when_another_client_leaves() {
        let mut downloads = both();
        assert_eq!(downloads.left_by(ONE), vec![Restore::Client(behavior(TWO))]);
        assert_eq!(downloads.left_by(ClientId(3)), vec![]);
    }

    #[test]
    fn client_contexts_get_no_default_behavior() {
        let mut downloads = Downloads::default();
        downloads.record(Some("C".to_owned()), behavior(ONE));
        assert_eq!(downloads.left_by(ONE), vec![]);
        downloads.record(Some("C".to_owned()), behavior(ONE));
        downloads.remove_context("C");
        assert!(downloads.by_context.is_empty());
    }

    #[test]
    fn rejected_behavior_makes_the_next_driver_restore_its_own() {
        let mut downloads = both();
        downloads.record(None, behavior(ClientId(3)));
        downloads.rejected(ClientId(3));
        assert_eq!(downloads.driven(None, TWO), Some(behavior(TWO)));
        // A context that does not exist leaves nothing.
        downloads.record(Some("unknown".to_owned()), behavior(ClientId(3)));
        downloads.rejected(ClientId(3));
        assert_eq!(downloads.by_context.len(), 1);
    }
}
