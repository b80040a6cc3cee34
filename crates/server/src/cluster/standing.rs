//! The knowledge of a node about its own lease.

use std::time::Duration;

use super::moment::Moment;
use crate::metrics::FencedBy;

/// The time for which a beat proves the lease. No other node declares this one dead earlier.
pub(crate) const BEAT_COUNTS_FOR: Duration = Duration::from_secs(6);

/// The time for which the answer of a peer proves the lease.
pub(crate) const PEER_COUNTS_FOR: Duration = Duration::from_secs(2);

/// The time without the store and without a peer after which a node gives up its lease.
pub(crate) const ISOLATED_AFTER: Duration = Duration::from_secs(10);

/// The knowledge of a node about its own lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The lease is held.
    Alive,
    /// Neither the store nor a peer has confirmed the lease lately, as after the process was
    /// stopped. Sessions continue, and forwarded requests wait.
    Suspect,
    /// The lease is lost, and its sessions count as ended.
    Fenced,
}

/// The answer of a peer about the lease of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerVerdict {
    /// The store says that the lease is held.
    Alive,
    /// The store says that the lease is lost.
    Fenced,
    /// The peer does not reach the store either, so it cannot have declared this node dead.
    StoreAway,
}

/// The events that decide the standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The time at which the last beat that the store has accepted was sent.
    pub beaten_at: Moment,
    /// The time at which a peer was asked that has answered with anything but `Fenced`.
    pub vouched_at: Option<Moment>,
    /// True if the last view had other nodes.
    pub has_peers: bool,
    /// True if the store has not answered the last beat.
    pub store_is_away: bool,
    /// Set when the lease is lost, until the next life.
    pub fenced: Option<FencedBy>,
}

impl Evidence {
    /// Returns the standing as of `now`.
    pub fn standing(&self, now: Moment) -> Standing {
        if self.fenced.is_some() {
            return Standing::Fenced;
        }
        let is_vouched = self
            .vouched_at
            .is_some_and(|at| now.since(at) <= PEER_COUNTS_FOR);
        // Without a node that looks, nobody declares this one dead. One that registers while the
        // store is away from this node does, and the next beat then reports it.
        if !self.has_peers || is_vouched || now.since(self.beaten_at) <= BEAT_COUNTS_FOR {
            Standing::Alive
        } else {
            Standing::Suspect
        }
    }

    /// Returns true if the node must give up its lease because nothing answers.
    pub fn is_isolated(&self, now: Moment) -> bool {
        let last = self.beaten_at.max(self.vouched_at.unwrap_or_default());
        self.has_peers && now.since(last) > ISOLATED_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_beat_proves_the_lease_for_a_while() {
        let evidence = Evidence {
            beaten_at: at(100),
            has_peers: true,
            ..Evidence::default()
        };
        assert_eq!(evidence.standing(at(100)), Standing::Alive);
        assert_eq!(evidence.standing(at(106)), Standing::Alive);
        assert_eq!(evidence.standing(at(107)), Standing::Suspect);
        assert!(!evidence.is_isolated(at(110)));
        assert!(evidence.is_isolated(at(111)));
    }

    #[test]
    fn a_peer_proves_the_lease_while_the_store_is_away() {
        let evidence = Evidence {
            beaten_at: at(100),
            vouched_at: Some(at(200)),
            has_peers: true,
            ..Evidence::default()
        };
        assert_eq!(evidence.standing(at(202)), Standing::Alive);
        assert_eq!(evidence.standing(at(203)), Standing::Suspect);
        assert!(!evidence.is_isolated(at(210)));
        assert!(evidence.is_isolated(at(211)));
    }

    #[test]
    fn a_lonely_node_keeps_its_lease() {
        let evidence = Evidence {
            beaten_at: at(100),
            ..Evidence::default()
        };
        assert_eq!(evidence.standing(at(10_000)), Standing::Alive);
        assert!(!evidence.is_isolated(at(10_000)));
    }

    #[test]
    fn a_lost_lease_stays_lost() {
        let evidence = Evidence {
            beaten_at: at(100),
            vouched_at: Some(at(100)),
            has_peers: true,
            fenced: Some(FencedBy::Beat),
            ..Evidence::default()
        };
        assert_eq!(evidence.standing(at(100)), Standing::Fenced);
    }
}
