//! The files of packed profiles that wait until they are saved: `<id of the profile>.<version>`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::profiles::file::remove;

/// A packed profile that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WaitingFile {
    pub path: PathBuf,
    pub profile_id: String,
    pub fence: i64,
}

/// Returns the path of a packed profile in `dir`.
pub(super) fn waiting_path(dir: &Path, profile_id: &str, version: &str) -> PathBuf {
    dir.join(format!("{profile_id}.{version}"))
}

/// Reads the name of a packed profile. Returns `None` for other files.
fn parse_waiting(path: &Path) -> Option<WaitingFile> {
    let (profile_id, version) = path.file_name()?.to_str()?.split_once('.')?;
    let (fence, unique) = version.split_once('-')?;
    Uuid::try_parse(unique).ok()?;
    Some(WaitingFile {
        path: path.to_owned(),
        profile_id: profile_id.to_owned(),
        fence: fence.parse().ok()?,
    })
}

fn all_waiting(dir: &Path) -> io::Result<Vec<WaitingFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(parse_waiting(&entry?.path()));
    }
    Ok(found)
}

/// Returns the newest packed profile of each profile. Blocks.
pub(super) fn newest_waiting(dir: &Path) -> io::Result<Vec<WaitingFile>> {
    let mut newest: BTreeMap<String, WaitingFile> = BTreeMap::new();
    for file in all_waiting(dir)? {
        let known = newest.get(&file.profile_id);
        if known.is_none_or(|known| known.fence < file.fence) {
            newest.insert(file.profile_id.clone(), file);
        }
    }
    Ok(newest.into_values().collect())
}

/// Removes the packed profiles of a profile whose lease was older than `fence`. Blocks.
pub(super) fn remove_waiting_before(dir: &Path, profile_id: &str, fence: i64) -> io::Result<()> {
    for file in all_waiting(dir)? {
        if file.profile_id == profile_id && file.fence < fence {
            remove(&file.path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_of_a_profile_replaces_an_older_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let unique = Uuid::now_v7();
        let version = |fence: i64| format!("{fence}-{unique}");
        for (id, fence) in [("a", 9), ("a", 10), ("b", 1)] {
            fs::write(waiting_path(dir.path(), id, &version(fence)), "").expect("written");
        }
        for other in ["a.outdated", "README", "a.1-x"] {
            fs::write(dir.path().join(other), "").expect("written");
        }
        let newest: Vec<(String, i64)> = newest_waiting(dir.path())
            .expect("read")
            .into_iter()
            .map(|file| (file.profile_id, file.fence))
            .collect();
        assert_eq!(newest, [("a".to_owned(), 10), ("b".to_owned(), 1)]);
        remove_waiting_before(dir.path(), "a", 10).expect("removed");
        assert!(!waiting_path(dir.path(), "a", &version(9)).exists());
        assert!(waiting_path(dir.path(), "a", &version(10)).exists());
        assert!(waiting_path(dir.path(), "b", &version(1)).exists());
    }
}
