//! The identity of a profile.

use sha2::{Digest, Sha256};

use crate::team::Team;
use crate::token::hex;

/// The identity of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileId {
    pub team: Team,
    pub name: String,
    /// SHA-256 of team and name, in hex.
    pub id: String,
}

impl ProfileId {
    pub fn new(team: Team, name: String) -> ProfileId {
        // The length separates team and name unambiguously.
        let mut digest = Sha256::new();
        digest.update((team.len() as u64).to_le_bytes());
        digest.update(team.as_bytes());
        digest.update(name.as_bytes());
        let id = hex(&digest.finalize());
        ProfileId { team, name, id }
    }
}
