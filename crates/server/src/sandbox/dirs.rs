//! A session's folder: made private, removed whole.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use hearth_confine::remove_tree;

/// The folder of all sessions below the data directory. Names are short because sockets below them
/// must fit into 108 bytes.
pub(crate) fn sessions_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("s")
}

/// The files of one session.
#[derive(Clone, Debug)]
pub(crate) struct SessionDir {
    root: PathBuf,
}

impl SessionDir {
    /// Makes the folder and what belongs into it, all of it mode 0700.
    pub fn create(sessions: &Path, name: &str) -> io::Result<SessionDir> {
        let folder = SessionDir {
            root: sessions.join(name),
        };
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&folder.root)?;
        builder.recursive(true);
        let parts = [
            vec![folder.browser(), folder.work()],
            folder.browser_dirs(),
            folder.code_dirs(),
        ];
        for part in parts.concat() {
            if let Err(error) = builder.create(part) {
                folder.remove();
                return Err(error);
            }
        }
        Ok(folder)
    }

    /// The folder that somebody has left there.
    pub fn at(root: &Path) -> SessionDir {
        SessionDir {
            root: root.to_owned(),
        }
    }

    /// For Chromium.
    pub fn browser(&self) -> PathBuf {
        self.root.join("b")
    }

    /// Where downloads go that nobody sends elsewhere.
    pub fn downloads(&self) -> PathBuf {
        self.browser().join("downloads")
    }

    /// What in Chromium's folder is Chromium's.
    pub fn browser_dirs(&self) -> Vec<PathBuf> {
        vec![
            self.browser().join("user-data"),
            self.downloads(),
            self.browser().join("tmp"),
        ]
    }

    /// What is the code's.
    pub fn code_dirs(&self) -> Vec<PathBuf> {
        vec![self.packages(), self.work(), self.agent(), self.tmp()]
    }

    /// Where user code works: its current folder, `$HOME` and `$TMPDIR`.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Where `pip install` puts packages. It exists from the start, or a running python would not
    /// look there.
    pub fn packages(&self) -> PathBuf {
        self.work().join(".python")
    }

    /// For the agent-browser daemon's socket.
    pub fn agent(&self) -> PathBuf {
        self.root.join("a")
    }

    /// What the session sees as `/tmp`, where that is possible.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The session's folder as a whole.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Removes everything. To be called when nothing of the session runs any more; blocks.
    pub fn remove(&self) {
        // Those that are another user's are empty by now, and cannot be looked into.
        for part in [self.browser(), self.work(), self.agent()] {
            let _ = fs::remove_dir(part);
        }
        if let Err(error) = remove_tree(&self.root) {
            tracing::error!(folder = %self.root.display(), %error, "a session's folder cannot be removed");
        }
    }
}

/// Removes the leftovers of an earlier life of the server: every session below `sessions`. Blocks.
pub(crate) fn sweep(sessions: &Path) -> io::Result<()> {
    remove_tree(sessions)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(sessions)
}
