//! The number of open connections, and which of them makes room for a new one.
//!
//! A connection without an authenticated request can be replaced. If all slots are taken, or all
//! slots of one client address, the oldest replaceable connection is closed. Idle connections and
//! unfinished requests of unauthenticated clients can therefore not keep out others or health
//! checks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::metrics::ConnectionCounts;

/// The maximum numbers of open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// Connections of all clients.
    pub total: usize,
    /// Connections from one address.
    pub per_address: usize,
}

/// Returns the number of connections that may become irreplaceable, of at most `max` connections.
/// The rest is left for new ones.
fn max_kept(max: usize) -> usize {
    max - max / 8
}

/// The open connections of a listener.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    total: usize,
    kept: usize,
    per_address: HashMap<IpAddr, Share>,
    /// Connections without an authenticated request, by age.
    replaceable: BTreeMap<u64, Replaceable>,
    /// The keys of `replaceable`, by address and age.
    by_address: BTreeSet<(IpAddr, u64)>,
    /// Connections that were replaced.
    replaced: u64,
    /// Connections that found no replaceable one.
    rejected: u64,
}

/// The connections from one address.
#[derive(Debug, Default)]
struct Share {
    open: usize,
    kept: usize,
}

#[derive(Debug)]
struct Replaceable {
    address: IpAddr,
    close: CancellationToken,
}

impl Connections {
    pub fn new(limits: ConnectionLimits) -> Arc<Connections> {
        Arc::new(Connections {
            limits,
            table: Mutex::default(),
        })
    }

    /// Returns a slot for a new connection, or `None` if it must be closed.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionSlot> {
        let mut table = self.lock();
        let of_address = table
            .per_address
            .get(&address)
            .map_or(0, |share| share.open);
        let oldest = if of_address >= self.limits.per_address {
            let oldest = table.by_address.range((address, 0)..).next();
            Some(oldest.filter(|(of, _)| *of == address).map(|(_, id)| *id))
        } else if table.total >= self.limits.total {
            Some(table.replaceable.keys().next().copied())
        } else {
            None
        };
        match oldest {
            Some(Some(id)) => table.replace(id),
            Some(None) => {
                table.rejected += 1;
                return None;
            }
            None => {}
        }
        let close = CancellationToken::new();
        let id = table.add(address, close.clone());
        Some(ConnectionSlot {
            connections: Arc::clone(self),
            id,
            address,
            close,
        })
    }

    /// Returns the numbers for metrics.
    pub fn counts(&self) -> ConnectionCounts {
        let table = self.lock();
        ConnectionCounts {
            open: table.total,
            max: self.limits.total,
            replaced: table.replaced,
            rejected: table.rejected,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(&mut self, address: IpAddr, close: CancellationToken) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.total += 1;
        self.per_address.entry(address).or_default().open += 1;
        self.replaceable.insert(id, Replaceable { address, close });
        self.by_address.insert((address, id));
        id
    }

    /// Closes a replaceable connection. It stops counting at once.
    fn replace(&mut self, id: u64) {
        if let Some(old) = self.remove_replaceable(id) {
            old.close.cancel();
            self.replaced += 1;
            self.release(old.address);
        }
    }

    fn remove_replaceable(&mut self, id: u64) -> Option<Replaceable> {
        let old = self.replaceable.remove(&id)?;
        self.by_address.remove(&(old.address, id));
        Some(old)
    }

    fn release(&mut self, address: IpAddr) {
        self.total -= 1;
        if let Some(share) = self.per_address.get_mut(&address) {
            share.open -= 1;
            if share.open == 0 {
                self.per_address.remove(&address);
            }
        }
    }

    /// Makes a connection irreplaceable, unless too many are, of all or of its address.
    fn keep(&mut self, id: u64, address: IpAddr, limits: ConnectionLimits) {
        let of_address = self.per_address.get(&address).map_or(0, |share| share.kept);
        let has_room =
            self.kept < max_kept(limits.total) && of_address < max_kept(limits.per_address);
        if has_room && self.remove_replaceable(id).is_some() {
            self.kept += 1;
            self.per_address.entry(address).or_default().kept += 1;
        }
    }

    /// Releases a connection that was irreplaceable.
    fn release_kept(&mut self, address: IpAddr) {
        self.kept -= 1;
        if let Some(share) = self.per_address.get_mut(&address) {
            share.kept -= 1;
        }
        self.release(address);
    }
}

/// The slot of an open connection. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    connections: Arc<Connections>,
    id: u64,
    address: IpAddr,
    close: CancellationToken,
}

impl ConnectionSlot {
    /// Waits until the connection must make room.
    pub async fn replaced(&self) {
        self.close.cancelled().await;
    }

    /// Makes the connection irreplaceable, because it has sent an authenticated request. Does
    /// nothing if too many connections are irreplaceable, of all or of its address.
    pub fn keep(&self) {
        let limits = self.connections.limits;
        let mut table = self.connections.lock();
        table.keep(self.id, self.address, limits);
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        if table.remove_replaceable(self.id).is_some() {
            table.release(self.address);
        } else if !self.close.is_cancelled() {
            table.release_kept(self.address);
        }
        // Otherwise it was replaced, and stopped counting then.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn connections(total: usize, per_address: usize) -> Arc<Connections> {
        Connections::new(ConnectionLimits { total, per_address })
    }

    #[test]
    fn the_oldest_unauthenticated_connection_makes_room() {
        let connections = connections(2, 2);
        let first = connections.admit(address(1)).expect("a slot");
        let second = connections.admit(address(2)).expect("a slot");
        let third = connections.admit(address(3)).expect("a slot");
        assert!(first.close.is_cancelled() && !second.close.is_cancelled());
        drop((first, third));
        let counts = connections.counts();
        assert_eq!((counts.open, counts.replaced, counts.rejected), (1, 1, 0));
        drop(second);
        assert_eq!(connections.counts().open, 0);
    }

    #[test]
    fn one_address_replaces_only_its_own_connections() {
        let connections = connections(10, 2);
        let other = connections.admit(address(1)).expect("a slot");
        let slots: Vec<ConnectionSlot> = (0..5)
            .map(|_| connections.admit(address(2)).expect("a slot"))
            .collect();
        assert!(!other.close.is_cancelled());
        let closed: Vec<bool> = slots.iter().map(|slot| slot.close.is_cancelled()).collect();
        assert_eq!(closed, [true, true, true, false, false]);
        assert_eq!(connections.counts().open, 3);
    }

    #[test]
    fn kept_connections_are_not_replaced_and_leave_room() {
        let connections = connections(8, 8);
        let slots: Vec<ConnectionSlot> = (0..8)
            .map(|_| connections.admit(address(1)).expect("a slot"))
            .collect();
        for slot in &slots {
            slot.keep();
            slot.keep();
        }
        let new = connections.admit(address(2)).expect("an eighth is left");
        assert!(slots[7].close.is_cancelled(), "the last one was not kept");
        assert!(slots[..7].iter().all(|slot| !slot.close.is_cancelled()));
        drop(slots);
        drop(new);
        assert_eq!(connections.counts().open, 0);
        assert_eq!(connections.lock().kept, 0);
        assert!(connections.lock().per_address.is_empty());
    }

    #[test]
    fn kept_connections_of_one_address_leave_room_in_its_share() {
        let connections = connections(32, 8);
        let slots: Vec<ConnectionSlot> = (0..8)
            .map(|_| connections.admit(address(1)).expect("a slot"))
            .collect();
        for slot in &slots {
            slot.keep();
        }
        let new = connections.admit(address(1)).expect("an eighth is left");
        assert!(slots[7].close.is_cancelled(), "the last one was not kept");
        assert!(slots[..7].iter().all(|slot| !slot.close.is_cancelled()));
        drop((slots, new));
        assert_eq!(connections.counts().open, 0);
        assert!(connections.lock().per_address.is_empty());
    }

    #[test]
    fn a_connection_without_a_replaceable_one_is_rejected() {
        let connections = connections(8, 1);
        let slot = connections.admit(address(1)).expect("a slot");
        slot.keep();
        assert!(connections.admit(address(1)).is_none());
        assert_eq!(connections.counts().rejected, 1);
    }
}
