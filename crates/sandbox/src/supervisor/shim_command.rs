//! The command line of a shim.

#![expect(clippy::disallowed_methods, reason = "programs are started here")]

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::policy::user::Ids;

/// The hidden first argument that makes the executable a shim.
pub const SHIM_ARGUMENT: &str = "__shim";

/// Builds the command that starts a shim. `ids` are those of the program, `control` is the shim's
/// end of its control socket.
pub(crate) fn shim_command(executable: &Path, ids: Option<Ids>, control: OwnedFd) -> Command {
    let mut command = Command::new(executable);
    command.arg0("hearth").arg(SHIM_ARGUMENT);
    if let Some(Ids { uid, gid }) = ids {
        command.arg(uid.to_string()).arg(gid.to_string());
    }
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(control))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.process_group(0);
    command
}

/// Parses the arguments after [`SHIM_ARGUMENT`]: either none, or a user and a group id. Returns
/// `Err` for anything else.
pub(crate) fn parse_ids(arguments: &[String]) -> Result<Option<Ids>, ()> {
    match arguments {
        [] => Ok(None),
        [uid, gid] => match (uid.parse(), gid.parse()) {
            (Ok(uid), Ok(gid)) => Ok(Some(Ids { uid, gid })),
            _ => Err(()),
        },
        _ => Err(()),
    }
}
