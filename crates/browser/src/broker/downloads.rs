//! Whose wish about downloads is in force. A browser context has one download folder: the last
//! client that names one sets it for all, and Chromium goes back to its own default when that
//! client leaves. So every client's wish is kept, and follows the client that drives: it is said
//! again before a call of a client whose wish is not in force, and when the client whose wish is in
//! force leaves. Tables only, under the broker's lock.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::ClientId;

/// A client's own call, to be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) client: ClientId,
    pub(crate) method: String,
    pub(crate) params: String,
    /// The session that it was made on.
    pub(crate) on: Arc<str>,
}

/// Wishes by context; None is the default one.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    by_context: HashMap<Option<String>, Wishes>,
}

#[derive(Debug, Default)]
struct Wishes {
    /// One a client, the latest last.
    all: Vec<Wish>,
    in_force: Option<ClientId>,
}

/// What is to be said to the browser after a client has left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// An earlier client's wish.
    Wish(Wish),
    /// Ours: nobody who is left has one for the default context.
    Own,
}

impl Downloads {
    /// A client says what it wants; from now on that is in force.
    pub(crate) fn wished(&mut self, context: Option<String>, wish: Wish) {
        let wishes = self.by_context.entry(context).or_default();
        wishes.all.retain(|earlier| earlier.client != wish.client);
        wishes.in_force = Some(wish.client);
        wishes.all.push(wish);
    }

    /// The browser refused a client's wish. What is in force now is not known.
    pub(crate) fn refused(&mut self, client: ClientId) {
        for wishes in self.by_context.values_mut() {
            wishes.all.retain(|wish| wish.client != client);
            wishes.in_force = wishes.in_force.filter(|in_force| *in_force != client);
        }
    }

    /// A client is about to drive a page of `context`. Gives back its wish if another one's is in
    /// force.
    pub(crate) fn driven(&mut self, context: Option<&str>, client: ClientId) -> Option<Wish> {
        // Nearly always: nobody disagrees with anybody.
        if self.by_context.values().all(|wishes| wishes.all.len() < 2) {
            return None;
        }
        let wishes = self.by_context.get_mut(&context.map(str::to_owned))?;
        if wishes.in_force == Some(client) {
            return None;
        }
        let wish = wishes
            .all
            .iter()
            .find(|wish| wish.client == client)?
            .clone();
        wishes.in_force = Some(client);
        Some(wish)
    }

    /// A client has left. Gives back what has to be said where it had a wish.
    pub(crate) fn left_by(&mut self, client: ClientId) -> Vec<Restored> {
        let mut restored = Vec::new();
        self.by_context.retain(|context, wishes| {
            let before = wishes.all.len();
            wishes.all.retain(|wish| wish.client != client);
            if wishes.all.len() < before {
                // Whether another one's was in force or not: the browser goes back to its default.
                let in_force = wishes
                    .all
                    .iter()
                    .find(|wish| Some(wish.client) == wishes.in_force);
                let next = in_force.or(wishes.all.last());
                wishes.in_force = next.map(|wish| wish.client);
                match next {
                    Some(wish) => restored.push(Restored::Wish(wish.clone())),
                    None if context.is_none() => restored.push(Restored::Own),
                    None => {}
                }
            }
            !wishes.all.is_empty()
        });
        restored
    }

    /// A context is gone, and with it every wish about it.
    pub(crate) fn forget_context(&mut self, context: &str) {
        self.by_context.remove(&Some(context.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ClientId = ClientId(1);
    const TWO: ClientId = ClientId(2);

    fn wish(client: ClientId) -> Wish {
        let params = format!("{{\"downloadPath\":\"/{}\"}}", client.0);
        Wish {
            client,
            method: "Browser.setDownloadBehavior".to_owned(),
            params,
            on: "root".into(),
        }
    }

    fn both() -> Downloads {
        let mut downloads = Downloads::default();
        downloads.wished(None, wish(ONE));
        downloads.wished(None, wish(TWO));
        downloads
    }

    #[test]
    fn the_wish_of_the_client_that_drives_is_said_again_once() {
        let mut downloads = both();
        assert_eq!(downloads.driven(None, TWO), None);
        assert_eq!(downloads.driven(None, ONE), Some(wish(ONE)));
        assert_eq!(downloads.driven(None, ONE), None);
        assert_eq!(downloads.driven(None, TWO), Some(wish(TWO)));
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
        assert_eq!(downloads.left_by(TWO), vec![Restored::Wish(wish(ONE))]);
        assert_eq!(downloads.left_by(ONE), vec![Restored::Own]);
        assert_eq!(downloads.left_by(ONE), vec![]);
    }

    #[test]
    fn what_is_in_force_is_said_again_when_another_one_with_a_wish_leaves() {
        let mut downloads = both();
        assert_eq!(downloads.left_by(ONE), vec![Restored::Wish(wish(TWO))]);
        assert_eq!(downloads.left_by(ClientId(3)), vec![]);
    }

    #[test]
    fn the_contexts_of_others_get_no_wish_of_ours() {
        let mut downloads = Downloads::default();
        downloads.wished(Some("C".to_owned()), wish(ONE));
        assert_eq!(downloads.left_by(ONE), vec![]);
        downloads.wished(Some("C".to_owned()), wish(ONE));
        downloads.forget_context("C");
        assert!(downloads.by_context.is_empty());
    }

    #[test]
    fn after_a_refusal_whoever_drives_says_its_wish_again() {
        let mut downloads = both();
        downloads.wished(None, wish(ClientId(3)));
        downloads.refused(ClientId(3));
        assert_eq!(downloads.driven(None, TWO), Some(wish(TWO)));
    }
}
