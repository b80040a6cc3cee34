//! Profiles in object storage, which all nodes of a cluster share.
//!
//! Each saved version is one object, whose key contains the fence of the session's lease. Nobody
//! writes an object twice, so readers never see half of one. The store knows which version of a
//! profile is the last one. A commit first uploads the object, and then makes it the last version
//! in one transaction, which needs the session's lease and the version that the session began with.
//!
//! The packed profile waits on the disk of the node until it is saved (`save`). If the object
//! storage is away, the session ends without it, and its lease stays until the profile is saved or
//! given up. After a restart, files that still wait are saved if nobody else has saved meanwhile
//! (`unsaved`). Objects that no profile needs are removed a day later (`cleanup`).

mod catalog;
mod cleanup;
mod keys;
mod lease;
mod mark;
mod rebuild;
mod save;
mod unsaved;
mod waiting;

pub(super) use self::catalog::{ObjectsSpec, ProfileObjects, SaveTimes};
pub(super) use self::lease::ObjectLease;
pub(crate) use self::rebuild::rebuild_records;

#[cfg(test)]
mod tests;
