//! Landlock: access to files, TCP ports and processes (`landlock(7)`).
//!
//! Landlock denies only the operations that a ruleset handles, so the ruleset handles all that the
//! kernel supports. Only programs that must listen can bind ports. A listener is reachable from
//! everywhere, bypasses the egress proxy, and could impersonate another server.

use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use crate::policy::sandbox_policy::{Access, Grant};

/// The newest ABI version that the ruleset uses. An older kernel enforces only the rights that it
/// supports, and the server's self-test reports the difference.
const KNOWN: ABI = ABI::V7;

/// Creates the ruleset of a program. Must run in the program's mount namespace, because paths are
/// resolved here.
pub(crate) fn ruleset<'a>(
    grants: impl Iterator<Item = &'a Grant>,
    connect_ports: &[u16],
    listens: bool,
) -> io::Result<RulesetCreated> {
    let ports = if listens {
        AccessNet::ConnectTcp.into()
    } else {
        AccessNet::from_all(KNOWN)
    };
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.handle_access(ports))
        .and_then(|rules| rules.scope(Scope::AbstractUnixSocket | Scope::Signal))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    for grant in grants {
        let file = match PathFd::new(&grant.path) {
            Ok(file) => file,
            // A path that does not exist needs no rule.
            Err(PathFdError::OpenCall { .. }) => continue,
            Err(error) => return Err(io::Error::other(error)),
        };
        ruleset = ruleset
            .add_rule(PathBeneath::new(file, rights(grant)))
            .map_err(io::Error::other)?;
    }
    for &port in connect_ports {
        ruleset = ruleset
            .add_rule(NetPort::new(port, AccessNet::ConnectTcp))
            .map_err(io::Error::other)?;
    }
    Ok(ruleset)
}

fn rights(grant: &Grant) -> BitFlags<AccessFs> {
    let all = match grant.access {
        Access::Read => AccessFs::ReadFile | AccessFs::ReadDir,
        Access::Execute => AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute,
        Access::ReadWrite => {
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev
        }
        Access::ReadWriteUnlisted => {
            AccessFs::from_all(KNOWN)
                & !(AccessFs::ReadDir | AccessFs::Execute | AccessFs::IoctlDev)
        }
        Access::Full => AccessFs::from_all(KNOWN) & !AccessFs::IoctlDev,
    };
    // A rule for a file must not contain rights that only apply to directories.
    if grant.path.is_dir() {
        all
    } else {
        all & AccessFs::from_file(KNOWN)
    }
}
