//! The files with settings, certificate authorities and blocked hosts, which the running server
//! reads again.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hearth_sandbox::{Spawner, open_regular_file};

use crate::config::Config;

/// The maximum size of the file with settings. It can contain keys.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The files with settings, keys, authorities and blocked hosts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SettingFiles {
    paths: Vec<PathBuf>,
    /// Opens the files, because the server's user may not. `None` if the server has kept its user.
    spawner: Option<Spawner>,
}

/// Identifies the content of a file, or is `None` if it cannot be opened.
type FileState = Option<[i128; 5]>;

/// The states of all key files.
pub(crate) type FileStates = Vec<FileState>;

impl SettingFiles {
    /// Lists the files that a configuration names.
    pub fn of(config: &Config) -> SettingFiles {
        let mut paths = config.key_files();
        paths.extend(config.env_file.clone());
        paths.extend(config.certificates.file().cloned());
        paths.extend(config.blocking.file().cloned());
        SettingFiles {
            paths,
            spawner: None,
        }
    }

    /// Returns the paths of all files. The spawner must know them in this order.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Opens the files through the spawner.
    pub fn with_spawner(self, spawner: Spawner) -> SettingFiles {
        SettingFiles {
            spawner: Some(spawner),
            ..self
        }
    }

    /// Opens one of the files. Blocks.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        let Some(spawner) = &self.spawner else {
            return open_regular_file(path);
        };
        let index = self.paths.iter().position(|known| known == path);
        let index = index.and_then(|index| u16::try_from(index).ok());
        spawner.open_file(index.ok_or(io::ErrorKind::NotFound)?)
    }

    /// Reads one of the files. Blocks.
    pub fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        let mut file = self.open(path)?.take(MAX_FILE_BYTES);
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Returns the current states of files. Blocks.
    pub fn states(&self, paths: &[PathBuf]) -> FileStates {
        paths.iter().map(|path| self.state(path)).collect()
    }

    fn state(&self, path: &Path) -> FileState {
        let metadata = self.open(path).and_then(|file| file.metadata()).ok()?;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) << 32 | i128::from(rest);
        Some([
            metadata.dev().into(),
            metadata.ino().into(),
            metadata.size().into(),
            nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        ])
    }
}
