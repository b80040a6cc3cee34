//! Whose behavior about downloads is in force. A browser context has one download folder: the last
//! client that names one sets it for all, and Chromium goes back to its own default when that
//! client leaves. So every client's behavior is kept, and follows the client that drives: it is said
//! again before a call of a client whose behavior is not in force, and when the client whose behavior is in
//! force leaves. Tables only, under the broker's lock.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::ClientId;

/// A client's own call, to be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DownloadBehavior {
    pub(crate) client: ClientId,
    pub(crate) method: String,
    pub(crate) params: String,
    /// The session that it was made on.
    pub(crate) on: Arc<str>,
}

/// ContextBehaviors by context; None is the default one.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    by_context: HashMap<Option<String>, ContextBehaviors>,
}

#[derive(Debug, Default)]
struct ContextBehaviors {
    /// One a client, the latest last.
    all: Vec<DownloadBehavior>,
    in_force: Option<ClientId>,
}

/// What is to be said to the browser after a client has left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Restore {
    /// An earlier client's behavior.
    Client(DownloadBehavior),
    /// Ours: nobody who is left has one for the default context.
    Default,
}

impl Downloads {
    /// A client says what it wants; from now on that is in force.
    pub(crate) fn record(&mut self, context: Option<String>, behavior: DownloadBehavior) {
        let behaviors = self.by_context.entry(context).or_default();
        behaviors
            .all
            .retain(|earlier| earlier.client != behavior.client);
        behaviors.in_force = Some(behavior.client);
        behaviors.all.push(behavior);
    }

    /// The browser refused a client's behavior. What is in force now is not known.
    pub(crate) fn refused(&mut self, client: ClientId) {
        for behaviors in self.by_context.values_mut() {
            behaviors.all.retain(|behavior| behavior.client != client);
            behaviors.in_force = behaviors.in_force.filter(|in_force| *in_force != client);
        }
    }

    /// A client is about to drive a page of `context`. Gives back its behavior if another one's is in
    /// force.
    pub(crate) fn driven(
        &mut self,
        context: Option<&str>,
        client: ClientId,
    ) -> Option<DownloadBehavior> {
        // Nearly always: nobody disagrees with anybody.
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

    /// A client has left. Gives back what has to be said where it had a behavior.
    pub(crate) fn left_by(&mut self, client: ClientId) -> Vec<Restore> {
        let mut restored = Vec::new();
        self.by_context.retain(|context, behaviors| {
            let before = behaviors.all.len();
            behaviors.all.retain(|behavior| behavior.client != client);
            if behaviors.all.len() < before {
                // Whether another one's was in force or not: the browser goes back to its default.
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

    /// A context is gone, and with it every behavior about it.
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
    fn the_wish_of_the_client_that_drives_is_said_again_once() {
        let mut downloads = both();
        assert_eq!(downloads.driven(None, TWO), None);
        assert_eq!(downloads.driven(None, ONE), Some(behavior(ONE)));
        assert_eq!(downloads.driven(None, ONE), None);
        assert_eq!(downloads.driven(None, TWO), Some(behavior(TWO)));
    }

    #[test]
    fn contexts_and_clients_without_a_wish_change_nothing() {
        let mut downloads = both();
        assert_eq!(downloads.driven(Some("C"), ONE), None);
        assert_eq!(downloads.driven(None, ClientId(3)), None);
    }

    #[test]
    fn when_a_client_leaves_the_one_before_it_gets_its_wish_back_and_then_we_do() {
        let mut downloads = both();
        assert_eq!(downloads.left_by(TWO), vec![Restore::Client(behavior(ONE))]);
        assert_eq!(downloads.left_by(ONE), vec![Restore::Default]);
        assert_eq!(downloads.left_by(ONE), vec![]);
    }

    #[test]
    fn what_is_in_force_is_said_again_when_another_one_with_a_wish_leaves() {
        let mut downloads = both();
        assert_eq!(downloads.left_by(ONE), vec![Restore::Client(behavior(TWO))]);
        assert_eq!(downloads.left_by(ClientId(3)), vec![]);
    }

    #[test]
    fn the_contexts_of_others_get_no_wish_of_ours() {
        let mut downloads = Downloads::default();
        downloads.record(Some("C".to_owned()), behavior(ONE));
        assert_eq!(downloads.left_by(ONE), vec![]);
        downloads.record(Some("C".to_owned()), behavior(ONE));
        downloads.remove_context("C");
        assert!(downloads.by_context.is_empty());
    }

    #[test]
    fn after_a_refusal_whoever_drives_says_its_wish_again() {
        let mut downloads = both();
        downloads.record(None, behavior(ClientId(3)));
        downloads.refused(ClientId(3));
        assert_eq!(downloads.driven(None, TWO), Some(behavior(TWO)));
    }
}
