//! What the nodes of a cluster share in PostgreSQL.
//!
//! Only these modules use functions that SQLite does not have. Their statements do not compare the
//! clocks of two machines.

mod chores;
mod profile_leases;

pub(crate) use self::chores::claim;
pub(crate) use self::profile_leases::{
    FencedLease, LeaseOwner, ProfileLeases, SavedProfile, SavedVersion, acquire, reacquire, release,
};
