//! Landlock: which files a program reaches, which TCP ports it connects to, whom it signals
//! (`landlock(7)`).
//!
//! Only what is handled is refused, and everything that the kernel knows is handled. No port can be
//! bound, but by what has to listen: a listener is reached from everywhere, past the way out, and
//! can pose as somebody else's.

use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use crate::policy::sandbox_policy::{Access, Grant};

/// The newest version whose rights we name; what an older kernel lacks is left out, and shows in
/// the probes.
const KNOWN: ABI = ABI::V7;

/// The rules of a program. To be made where it will run: paths are looked up here.
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
            // A folder that this machine has not got needs no rule.
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
    // A rule about a file may hold only what can be done with files.
    if grant.path.is_dir() {
        all
    } else {
        all & AccessFs::from_file(KNOWN)
    }
}
