//! Decides which files clients may read and write through the browser.
//!
//! This module only compares paths and addresses. It accesses no files. Landlock prevents
//! access through symbolic links, and from pages that open other files.

use std::path::{Component, Path, PathBuf};

use url::Url;

/// The origin of a client, which determines the meaning of its paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOrigin {
    /// A program of the session, which sees the session's `/tmp`.
    Internal,
    /// Any other client. Its `/tmp` is a different directory.
    External,
}

/// Schemes of the browser's own pages, which can crash, quit and configure it.
const INTERNAL_SCHEMES: [&str; 5] = [
    "chrome",
    "chrome-untrusted",
    "chrome-error",
    "devtools",
    "chrome-extension",
];

/// The directories of one session that clients may name.
#[derive(Debug)]
pub(crate) struct FileAccess {
    /// The directory of the session.
    pub(crate) session: PathBuf,
    /// The download directory, unless a client names another directory of the session.
    pub(crate) downloads: PathBuf,
}

impl FileAccess {
    /// Returns true if a client may name this file or directory. Relative paths are rejected,
    /// because they would resolve in the browser's working directory.
    pub(crate) fn allows(&self, path: &str, origin: ClientOrigin) -> bool {
        let path = Path::new(path);
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let shared = origin == ClientOrigin::Internal && path.starts_with("/tmp");
        path.is_absolute() && plain && (shared || path.starts_with(&self.session))
    }

    /// Returns the directory for a client's downloads: `named`, if the client may use it.
    pub(crate) fn download_dir(&self, named: &str, origin: ClientOrigin) -> String {
        if self.allows(named, origin) {
            named.to_owned()
        } else {
            self.downloads.to_string_lossy().into_owned()
        }
    }

    /// Checks the address of a page that a client wants to open. Returns the reason if the address
    /// is denied.
    pub(crate) fn check_address(
        &self,
        address: &str,
        origin: ClientOrigin,
    ) -> Result<(), &'static str> {
        // The browser rejects addresses that cannot be parsed.
        let Ok(url) = Url::parse(address) else {
            return Ok(());
        };
        match url.scheme() {
            "view-source" => self.check_address(url.path(), origin),
            "file" => {
                let path = url.to_file_path().ok();
                match path.as_deref().and_then(Path::to_str) {
                    Some(path) if self.allows(path, origin) => Ok(()),
                    _ => Err("only files in the session's directory can be opened"),
                }
            }
            scheme if INTERNAL_SCHEMES.contains(&scheme) => {
                Err("the browser's own pages are not available")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_access() -> FileAccess {
        FileAccess {
            session: "/data/s/1".into(),
            downloads: "/data/s/1/b/downloads".into(),
        }
    }

    #[test]
    fn session_paths_and_internal_tmp_are_allowed() {
        for (path, inside, outside) in [
            ("/data/s/1/work/x.txt", true, true),
            ("/data/s/1", true, true),
            ("/tmp/x", true, false),
            ("/data/s/12/work/x.txt", false, false),
            ("/data/s/1/../2/x", false, false),
            ("/tmp/../etc/hostname", false, false),
            ("/etc/hostname", false, false),
            ("work/x.txt", false, false),
            ("", false, false),
        ] {
            let allows = |origin| file_access().allows(path, origin);
            assert_eq!(
                (
                    allows(ClientOrigin::Internal),
                    allows(ClientOrigin::External)
                ),
                (inside, outside),
                "{path}"
            );
        }
    }

    #[test]
    fn download_dir_outside_the_session_is_replaced() {
        let plan = |path| file_access().download_dir(path, ClientOrigin::External);
        assert_eq!(plan("/data/s/1/work"), "/data/s/1/work");
        assert_eq!(plan("/tmp/playwright-artifacts-1"), "/data/s/1/b/downloads");
        assert_eq!(plan("/etc"), "/data/s/1/b/downloads");
    }

    #[test]
    fn ordinary_addresses_and_session_files_are_allowed() {
        for address in [
            "https://example.com/file:///etc/passwd",
            "about:blank",
            "data:text/html,file:///etc/hostname",
            "blob:https://example.com/1",
            "file:///data/s/1/work/report.html#top",
            "file://localhost/data/s/1/work/a%20b.html",
            "FILE:/tmp/x.html",
            "view-source:https://example.com",
            "no address",
            "",
        ] {
            assert_eq!(
                file_access().check_address(address, ClientOrigin::Internal),
                Ok(()),
                "{address}"
            );
        }
    }

    #[test]
    fn other_files_and_internal_pages_are_denied() {
        for address in [
            "file:///etc/hostname",
            "  file:///etc/hostname",
            "fi\nle:///etc/hostname",
            "FiLe:/etc/hostname",
            "file:\\\\\\etc\\hostname",
            "file:///data/s/1/../2/x",
            "file:///data/s/1/%2e%2e/2/x",
            "file://other/data/s/1/work/x",
            "view-source:file:///etc/hostname",
            "view-source:view-source:file:///etc/hostname",
            "chrome://crash",
            "Chrome://inducebrowsercrashforrealz",
            "view-source:chrome://version",
            "devtools://devtools/bundled/inspector.html",
            "chrome-untrusted://x",
        ] {
            assert!(
                file_access()
                    .check_address(address, ClientOrigin::Internal)
                    .is_err(),
                "{address:?}"
            );
        }
    }
}
