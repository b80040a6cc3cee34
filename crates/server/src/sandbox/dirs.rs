//! The directories of a session, which are private to it and removed as a whole.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use hearth_runner::{SCRIPT_LINK, SCRIPT_TARGET};
use hearth_sandbox::remove_tree;

use super::trust::database_dirs;

/// Returns the parent of all session directories. Its name is short because the paths of sockets
/// below it must fit into 108 bytes.
pub(crate) fn sessions_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("s")
}

/// Returns a random name for a session's directory, which exists before the session has an id.
pub(crate) fn session_dir_name() -> io::Result<String> {
    let random = getrandom::u32().map_err(io::Error::other)?;
    Ok(format!("{random:08x}"))
}

/// The directory of one session, with its parts.
#[derive(Clone, Debug)]
pub(crate) struct SessionDir {
    root: PathBuf,
}

impl SessionDir {
    /// Creates the directory and its parts, all with mode 0700. After a failure, some exist.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&self.root)?;
        builder.recursive(true);
        let parts = [
            vec![self.browser(), self.work()],
            self.browser_dirs(),
            self.code_dirs(),
        ];
        for part in parts.concat() {
            builder.create(part)?;
        }
        // Shells open their scripts through it.
        symlink(SCRIPT_TARGET, self.root.join(SCRIPT_LINK))
    }

    /// Returns the session directory at `root`.
    pub fn at(root: &Path) -> SessionDir {
        SessionDir {
            root: root.to_owned(),
        }
    }

    /// Returns Chromium's directory.
    pub fn browser(&self) -> PathBuf {
        self.root.join("b")
    }

    /// Returns the default directory for downloads.
    pub fn downloads(&self) -> PathBuf {
        self.browser().join("downloads")
    }

    /// Returns the directories that belong to Chromium's user, below Chromium's directory. Inner
    /// ones come first.
    pub fn browser_dirs(&self) -> Vec<PathBuf> {
        let mut dirs = database_dirs(&self.browser());
        dirs.extend([
            self.browser().join("user-data"),
            self.downloads(),
            self.browser().join("tmp"),
        ]);
        dirs
    }

    /// Returns the directories that belong to the user of the session's code.
    pub fn code_dirs(&self) -> Vec<PathBuf> {
        vec![self.python_env(), self.work(), self.agent(), self.tmp()]
    }

    /// Returns the working directory of user code, which is also its `$HOME` and `$TMPDIR`.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Returns the virtual environment for `pip install`. It must exist from the start, because a
    /// running python ignores import paths that did not exist when it started.
    pub fn python_env(&self) -> PathBuf {
        self.work().join(".python")
    }

    /// Returns the directory in which kernels find Node's compile cache. It belongs to the server.
    pub fn compile_cache(&self) -> PathBuf {
        self.root.join("c")
    }

    /// Returns the directory of the agent-browser daemon's socket.
    pub fn agent(&self) -> PathBuf {
        self.root.join("a")
    }

    /// Returns the directory that the session sees as `/tmp`, where the kernel allows it.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Returns the name of the whole directory.
    pub fn name(&self) -> &str {
        let name = self.root.file_name().and_then(OsStr::to_str);
        // Names are chosen by this server.
        name.unwrap_or_default()
    }

    /// Returns the session's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Removes everything, and logs a failure. Call this only when no process of the session
    /// remains. Blocks.
    pub fn remove(&self) {
        if let Err(error) = self.try_remove() {
            self.log_removal_failure(&error);
        }
    }

    /// Removes everything. Call this only when no process of the session remains. Blocks.
    pub fn try_remove(&self) -> io::Result<()> {
        // Directories of other users are empty by now, and this process cannot read them.
        for part in [self.browser(), self.work(), self.agent()] {
            let _ = fs::remove_dir(part);
        }
        remove_tree(&self.root)
    }

    pub fn log_removal_failure(&self, error: &io::Error) {
        tracing::error!(dir = %self.root.display(), %error, "session directory removal failed");
    }
}

/// Removes the session directories of an earlier server process. Blocks.
pub(crate) fn sweep(sessions: &Path) -> io::Result<()> {
    remove_tree(sessions)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(sessions)
}
