//! The certificate authorities that the programs of sessions trust: those of the machine, and those
//! of `HEARTH_CA_FILE`.
//!
//! Programs read one file with all of them, which variables name. Chromium has its own list of
//! public authorities. It reads others from a database in its home directory.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::certificate_authorities::{CertificateAuthorities, MACHINE_FILES};

/// The names in [`trust_dir`]: all authorities, and those of `HEARTH_CA_FILE`.
const BUNDLE: &str = "bundle.pem";
const OWN: &str = "own.pem";

/// The directory of the browser's database in its home directory.
const DATABASE_DIR: &str = ".pki/nssdb";

/// Returns the directory of the server's files with authorities. All users can read it.
pub(crate) fn trust_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("ca")
}

/// Removes the files of an earlier server, which may have had another user. Blocks.
pub(crate) fn remove_trust(data_dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(trust_dir(data_dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns the directories of the database below the browser's directory, each before its parent.
pub(super) fn database_dirs(browser: &Path) -> Vec<PathBuf> {
    vec![browser.join(DATABASE_DIR), browser.join(".pki")]
}

/// The authorities that sessions trust.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustStore {
    /// A file with all authorities. `None` if the machine has no such file, and none is added.
    pub bundle: Option<PathBuf>,
    /// The files of the browser's database.
    database: Vec<DatabaseFile>,
}

/// A file of the browser's database, with base64 as the script prints it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DatabaseFile {
    name: String,
    content: String,
}

impl TrustStore {
    /// Returns the authorities of the machine. Blocks.
    pub fn of_machine() -> TrustStore {
        TrustStore {
            bundle: read_machine().map(|(path, _)| path),
            database: Vec::new(),
        }
    }

    /// Prepares to trust `own` besides the authorities of the machine. The store is complete after
    /// [`set_database`](TrustStore::set_database) and [`write_bundle`](TrustStore::write_bundle).
    /// Blocks.
    pub fn draft(data_dir: &Path, own: &CertificateAuthorities) -> io::Result<TrustStore> {
        let dir = trust_dir(data_dir);
        DirBuilder::new().recursive(true).mode(0o755).create(&dir)?;
        fs::set_permissions(&dir, Permissions::from_mode(0o755))?;
        replace(&dir.join(OWN), own.to_pem().as_bytes())?;
        Ok(TrustStore {
            bundle: Some(dir.join(BUNDLE)),
            database: Vec::new(),
        })
    }

    /// Writes the file with the authorities of the machine and `own`. Blocks.
    pub fn write_bundle(&self, own: &CertificateAuthorities) -> io::Result<()> {
        let Some(bundle) = &self.bundle else {
            return Ok(());
        };
        let mut all = read_machine().map_or_else(Vec::new, |(_, content)| content);
        if !all.ends_with(b"\n") {
            all.push(b'\n');
        }
        all.extend(own.to_pem().bytes());
        replace(bundle, &all)
    }

    /// Returns the file with the authorities that are not the machine's, if there are any.
    pub fn own_file(&self) -> Option<PathBuf> {
        Some(self.dir()?.join(OWN))
    }

    /// Adds the files of the browser's database.
    pub fn set_database(&mut self, database: Vec<DatabaseFile>) {
        self.database = database;
    }

    /// Returns the directory that programs need to read.
    pub fn dir(&self) -> Option<PathBuf> {
        let bundle = self.bundle.as_ref()?;
        // The machine's file can be a link into another directory.
        let bundle = bundle.canonicalize().unwrap_or_else(|_| bundle.clone());
        bundle.parent().map(Path::to_owned)
    }

    /// Writes the database to its place below the browser's directory. The browser's user must be
    /// able to write the files, because Chromium opens no others. Blocks.
    pub(super) fn install(&self, browser: &Path) -> io::Result<()> {
        let dir = browser.join(DATABASE_DIR);
        for file in &self.database {
            let content = STANDARD.decode(&file.content).map_err(io::Error::other)?;
            let path = dir.join(Path::new(&file.name).file_name().unwrap_or_default());
            fs::write(&path, content)?;
            // Other users cannot traverse the directory.
            fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        }
        Ok(())
    }
}

/// Returns the file with the machine's authorities, and its content.
fn read_machine() -> Option<(PathBuf, Vec<u8>)> {
    MACHINE_FILES.iter().find_map(|path| {
        let content = fs::read(path).ok()?;
        Some((PathBuf::from(path), content))
    })
}

/// Replaces a file that programs of sessions may be reading.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, content)?;
    fs::set_permissions(&new, Permissions::from_mode(0o644))?;
    fs::rename(&new, path)
}

/// The authorities that new sessions trust. A reload replaces them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentTrust(Arc<RwLock<Arc<TrustStore>>>);

impl From<TrustStore> for CurrentTrust {
    fn from(trust: TrustStore) -> CurrentTrust {
        CurrentTrust(Arc::new(RwLock::new(Arc::new(trust))))
    }
}

impl CurrentTrust {
    pub fn get(&self) -> Arc<TrustStore> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set(&self, trust: TrustStore) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trust);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorities() -> CertificateAuthorities {
        let text = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        CertificateAuthorities::parse(text).expect("one")
    }

    #[test]
    fn the_bundle_has_the_authorities_of_the_machine_and_of_the_file() {
        let data = tempfile::tempdir().expect("a directory");
        let machine = TrustStore::of_machine();
        remove_trust(data.path()).expect("nothing to remove");
        let own = authorities();
        let draft = TrustStore::draft(data.path(), &own).expect("prepared");
        draft.write_bundle(&own).expect("written");
        let bundle = draft.bundle.expect("a file");
        assert_eq!(bundle, trust_dir(data.path()).join(BUNDLE));
        let mode = fs::metadata(&bundle).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        let text = fs::read_to_string(bundle).expect("readable");
        let of_machine = machine.bundle.map_or_else(String::new, |path| {
            fs::read_to_string(path).expect("readable")
        });
        assert!(text.starts_with(of_machine.trim_end()));
        assert!(text.ends_with(&own.to_pem()));
        remove_trust(data.path()).expect("removed");
        assert!(!trust_dir(data.path()).exists());
    }

    #[test]
    fn a_database_is_written_below_the_browser_only() {
        let browser = tempfile::tempdir().expect("a directory");
        for dir in database_dirs(browser.path()).iter().rev() {
            fs::create_dir(dir).expect("created");
        }
        let trust = TrustStore {
            bundle: None,
            database: vec![DatabaseFile {
                name: "../../../cert9.db".to_owned(),
                content: STANDARD.encode("data"),
            }],
        };
        trust.install(browser.path()).expect("installed");
        let path = browser.path().join(DATABASE_DIR).join("cert9.db");
        assert_eq!(fs::read(path).expect("there"), b"data");
    }
}
