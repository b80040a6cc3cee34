//! An unprivileged user for a server, and a copy of the server's files that this user can read. A
//! checkout may be in a dir that other users cannot enter.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A user id that usual machines do not assign.
pub const UID: u32 = 54_321;

/// The copied files; dropping it removes them.
#[derive(Debug)]
pub struct PlainUser {
    dir: TempDir,
}

impl PlainUser {
    /// Copies the server and the runtime, with hard links if they are on the same disk.
    pub fn new(binary: &Path, runtime: &Path) -> Self {
        let dir = crate::server_builder::new_data_dir();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))
            .expect("it belongs to this process");
        copy(binary, &dir.path().join("hearth"));
        let copied = dir.path().join("runtime");
        copy(runtime, &copied);
        rewrite_shebangs(&copied, runtime);
        Self { dir }
    }

    /// Returns the path of the copied server.
    pub fn binary(&self) -> PathBuf {
        self.dir.path().join("hearth")
    }

    /// Returns the path of the copied runtime.
    pub fn runtime(&self) -> PathBuf {
        self.dir.path().join("runtime")
    }

    /// Returns the dir in which the server is started.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Changes the owner of a file or dir to the user.
pub fn give(path: &Path) {
    chown(path, Some(UID), Some(UID)).expect("these tests run as root, which may change owners");
}

/// Rewrites the shebang lines of a virtual environment's scripts, which contain its original path.
fn rewrite_shebangs(copied: &Path, runtime: &Path) {
    let [old, new] = [runtime, copied].map(|path| path.display().to_string());
    let entries = std::fs::read_dir(copied.join(".installed/venv/bin"))
        .expect("`make setup` makes the runtime");
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !path.is_symlink())
    {
        let text = std::fs::read_to_string(&path).expect("the scripts are text");
        if text.starts_with("#!") && text.contains(&old) {
            // Writing to a hard link would change the original.
            std::fs::remove_file(&path).expect("it belongs to this process");
            std::fs::write(&path, text.replace(&old, &new)).expect("it belongs to this process");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .expect("it belongs to this process");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let run = |arguments: &[&str]| {
        let status = Command::new("/bin/cp")
            .args(arguments)
            .arg(from)
            .arg(to)
            .status();
        status.expect("coreutils are installed").success()
    };
    // A first attempt that failed half-way may have left a dir; the second attempt must not copy
    // into it.
    let is_copied = run(&["--archive", "--link", "--no-target-directory"])
        || run(&["--archive", "--force", "--no-target-directory"]);
    assert!(is_copied, "{} cannot be copied", from.display());
}
