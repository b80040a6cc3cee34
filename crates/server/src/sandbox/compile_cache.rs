//! The compile cache of Node, which `scripts/compile-cache` creates at setup. Kernels and
//! Playwright's driver load from it what V8 would otherwise compile in every session.
//!
//! Node does not check who wrote an entry, so a user who can change one controls the programs that
//! load it. Sessions use the cache only if none of their users can change it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The permission to write for the group and for others.
const WRITABLE: u32 = 0o022;

/// A cache that sessions can use.
#[derive(Debug)]
pub(super) struct CompileCache {
    /// The directory with the entries. Node names it after its version, V8's version and flags, and
    /// the user id of the process.
    entries: PathBuf,
    /// The name without the user id.
    name: String,
}

impl CompileCache {
    /// Finds the cache in `dir`. Returns `None` if there is none, or if a user for whom
    /// `is_of_session` is true could change it. Blocks.
    pub fn find(dir: &Path, is_of_session: impl Fn(u32) -> bool) -> Option<CompileCache> {
        let is_safe = |path: &Path| {
            fs::symlink_metadata(path).is_ok_and(|found| {
                !found.is_symlink() && found.mode() & WRITABLE == 0 && !is_of_session(found.uid())
            })
        };
        let mut versions = fs::read_dir(dir).ok()?;
        let version = versions.next()?.ok()?;
        let entries = version.path();
        let file_name = version.file_name();
        let (name, _) = file_name.to_str()?.rsplit_once('-')?;
        let are_safe = versions.next().is_none()
            && is_safe(dir)
            && is_safe(&entries)
            && fs::read_dir(&entries)
                .ok()?
                .all(|entry| entry.is_ok_and(|entry| is_safe(&entry.path())));
        are_safe.then(|| CompileCache {
            name: name.to_owned(),
            entries,
        })
    }

    /// Creates the directory `dir`, in which a Node process of the user `uid` finds the entries.
    /// Only the server's user can change it. Blocks.
    pub fn link(&self, dir: &Path, uid: u32) -> io::Result<()> {
        DirBuilder::new().mode(0o755).create(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
        symlink(&self.entries, dir.join(format!("{}-{uid}", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: u32 = 60000;

    /// Creates a cache with one entry.
    fn cache() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let entries = dir.path().join("v1-x64-abc-0");
        fs::create_dir(&entries).expect("created");
        fs::write(entries.join("entry"), "code").expect("written");
        for path in [dir.path(), &entries, &entries.join("entry")] {
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
        }
        dir
    }

    #[test]
    fn a_session_finds_the_entries_under_its_own_user_id() {
        let (cache, session) = (cache(), tempfile::tempdir().expect("a directory"));
        let found = CompileCache::find(cache.path(), |uid| uid == OTHER).expect("safe");
        let link = session.path().join("c");
        found.link(&link, OTHER).expect("linked");
        let entry = link.join(format!("v1-x64-abc-{OTHER}/entry"));
        assert_eq!(fs::read(entry).expect("readable"), b"code");
    }

    #[test]
    fn a_cache_that_a_session_could_change_is_not_used() {
        let own = |_| true;
        assert!(CompileCache::find(cache().path(), own).is_none());
        for (name, mode) in [
            ("", 0o777),
            ("v1-x64-abc-0", 0o775),
            ("v1-x64-abc-0/entry", 0o646),
        ] {
            let cache = cache();
            let path = cache.path().join(name);
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
            let found = CompileCache::find(cache.path(), |_| false);
            assert!(found.is_none(), "{name:?} has mode {mode:o}");
        }
        let with_link = cache();
        symlink("/tmp", with_link.path().join("v1-x64-abc-0/link")).expect("linked");
        assert!(CompileCache::find(with_link.path(), |_| false).is_none());
    }

    #[test]
    fn a_missing_or_ambiguous_cache_is_not_used() {
        let cache = cache();
        let missing = cache.path().join("missing");
        assert!(CompileCache::find(&missing, |_| false).is_none());
        fs::create_dir(cache.path().join("v2-x64-abc-0")).expect("created");
        assert!(CompileCache::find(cache.path(), |_| false).is_none());
    }
}
