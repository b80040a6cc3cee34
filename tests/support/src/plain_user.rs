//! A user without any rights for a server to run as, and a copy of what it needs in a place where
//! that user may read it: a checkout may lie in a folder that nobody else can enter.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Nobody's id on any machine that is not made for confusion.
pub const UID: u32 = 54_321;

/// The copy; it is removed when it is dropped.
#[derive(Debug)]
pub struct PlainUser {
    folder: TempDir,
}

impl PlainUser {
    /// Copies the server and the runtime, by hard links where the disk is the same.
    pub fn new(binary: &Path, runtime: &Path) -> Self {
        let folder = crate::server::new_data_dir();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))
            .expect("it is ours");
        copy(binary, &folder.path().join("hearth"));
        let copied = folder.path().join("runtime");
        copy(runtime, &copied);
        lead_to(&copied, runtime);
        Self { folder }
    }

    /// The server's copy.
    pub fn binary(&self) -> PathBuf {
        self.folder.path().join("hearth")
    }

    /// The runtime's copy.
    pub fn runtime(&self) -> PathBuf {
        self.folder.path().join("runtime")
    }

    /// Where the server is started.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Gives a file or folder to the user.
pub fn give(path: &Path) {
    chown(path, Some(UID), Some(UID)).expect("only root gives things away, and runs these tests");
}

/// The scripts of a virtual environment begin with where it was made.
fn lead_to(copied: &Path, runtime: &Path) {
    let [old, new] = [runtime, copied].map(|path| path.display().to_string());
    let entries = std::fs::read_dir(copied.join(".installed/venv/bin"))
        .expect("`make setup` makes the runtime");
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !path.is_symlink())
    {
        let text = std::fs::read_to_string(&path).expect("they are text");
        if text.starts_with("#!") && text.contains(&old) {
            // Written to, a link would change the original.
            std::fs::remove_file(&path).expect("it is ours");
            std::fs::write(&path, text.replace(&old, &new)).expect("it is ours");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .expect("it is ours");
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
        status.expect("coreutils are there").success()
    };
    // A first try that failed half-way may have left a folder, which the second one is not to copy
    // into.
    let is_copied = run(&["--archive", "--link", "--no-target-directory"])
        || run(&["--archive", "--force", "--no-target-directory"]);
    assert!(is_copied, "{} cannot be copied", from.display());
}
