//! Keeps the permissions that clients grant to pages.
//!
//! When a client that has granted a permission leaves, Chromium resets all permissions of the
//! context, also those that other clients have granted. So the grants of every client are kept, and
//! those of the remaining clients are sent again.
//!
//! This module contains only tables, which the broker's lock protects.

use std::collections::HashSet;
use std::sync::Arc;

use super::send_queue::ClientId;

/// The maximum number of grants that are kept. Each has a few hundred bytes.
const MAX_GRANTS: usize = 200;

/// The maximum size of a grant. Larger grants reach the browser, but are not kept.
const MAX_BYTES: usize = 4 * 1024;

/// A client's call that grants or denies permissions, kept so that it can be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) client: ClientId,
    pub(crate) method: String,
    pub(crate) params: String,
    /// `None` for the default context.
    pub(crate) context: Option<String>,
    /// The session that the call was sent on.
    pub(crate) on: Arc<str>,
}

/// The grants of all clients, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Grants(Vec<Grant>);

impl Grants {
    /// Records a grant. The oldest one is dropped if there are too many.
    pub(crate) fn record(&mut self, grant: Grant) {
        self.0.retain(|earlier| *earlier != grant);
        if grant.params.len() > MAX_BYTES {
            return;
        }
        if self.0.len() >= MAX_GRANTS {
            self.0.remove(0);
        }
        self.0.push(grant);
    }

    /// Removes all grants of a context, which a client has reset or which is gone.
    pub(crate) fn reset(&mut self, context: Option<&str>) {
        self.0.retain(|grant| grant.context.as_deref() != context);
    }

    /// Removes the grants of sessions that have ended. Returns the grants to send again.
    pub(crate) fn left_by(&mut self, has_left: impl Fn(&Grant) -> bool) -> Vec<Grant> {
        let (left, remaining): (Vec<Grant>, Vec<Grant>) =
            std::mem::take(&mut self.0).into_iter().partition(has_left);
        self.0 = remaining;
        let contexts: HashSet<Option<String>> =
            left.into_iter().map(|grant| grant.context).collect();
        let lost = self
            .0
            .iter()
            .filter(|grant| contexts.contains(&grant.context));
        lost.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(client: u64, context: Option<&str>, params: &str) -> Grant {
        Grant {
            client: ClientId(client),
            method: "Browser.grantPermissions".to_owned(),
            params: params.to_owned(),
            context: context.map(str::to_owned),
            on: "R".into(),
        }
    }

    fn leaves(grants: &mut Grants, client: u64) -> Vec<Grant> {
        grants.left_by(|grant| grant.client == ClientId(client))
    }

    #[test]
    fn grants_of_the_remaining_clients_are_sent_again_in_order() {
        let mut grants = Grants::default();
        let others = [grant(1, None, "a"), grant(3, None, "b")];
        for each in [
            others[0].clone(),
            grant(1, Some("C"), "c"),
            grant(2, None, "d"),
            others[1].clone(),
        ] {
            grants.record(each);
        }
        assert_eq!(leaves(&mut grants, 2), others);
        assert_eq!(leaves(&mut grants, 2), []);
        grants.reset(None);
        assert_eq!(leaves(&mut grants, 3), []);
        assert_eq!(leaves(&mut grants, 1), []);
    }

    #[test]
    fn kept_grants_are_limited() {
        let mut grants = Grants::default();
        grants.record(grant(1, None, &"x".repeat(MAX_BYTES + 1)));
        assert!(grants.0.is_empty());
        for number in 0..=MAX_GRANTS {
            grants.record(grant(1, None, &number.to_string()));
        }
        grants.record(grant(1, None, "1"));
        assert_eq!(grants.0.len(), MAX_GRANTS);
        assert_eq!(grants.0[0].params, "2");
    }
}
