//! The state that the nodes of a cluster share in PostgreSQL.
//!
//! Only these modules use functions that SQLite does not have. Their statements do not compare the
//! clocks of two machines.

mod connection;
mod connections;
mod jobs;
mod nodes;
mod profile_leases;
mod profiles;
mod sessions;

pub(crate) use self::connection::MemberConnection;
pub(crate) use self::nodes::{Life, NodeLoad, NodeRecord, NodeState, Registration};
pub(crate) use self::profile_leases::{FencedLease, LeaseOwner};
pub(crate) use self::profiles::{ProfileLeases, SavedProfile, SavedVersion};
pub(crate) use self::sessions::{ClusterSession, ClusterSessions, Reservation, Reserved};

#[cfg(test)]
mod test_database;
#[cfg(test)]
mod unfenced;
#[cfg(test)]
pub(crate) use self::test_database::open_test_database;
