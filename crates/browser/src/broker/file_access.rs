//! Which files a client may have the browser read and write by naming them. Paths and addresses
//! only, no file is touched: what a path leads to in the end (links, a page that opens another
//! file) is for the kernel to judge.

use std::path::{Component, Path, PathBuf};

use url::Url;

/// Where a client sits. It decides what its paths mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOrigin {
    /// Among the session's own programs, with the session's `/tmp`.
    Internal,
    /// Anywhere else; its `/tmp` is another one.
    External,
}

/// Schemes of the browser's own pages, from where it can be crashed, quit and configured.
const INTERNAL_SCHEMES: [&str; 5] = [
    "chrome",
    "chrome-untrusted",
    "chrome-error",
    "devtools",
    "chrome-extension",
];

/// The folders of one session, as far as clients may name them.
#[derive(Debug)]
pub(crate) struct FileAccess {
    /// Everything of the session.
    pub(crate) session: PathBuf,
    /// Where downloads go unless a client names another folder of the session.
    pub(crate) downloads: PathBuf,
}

impl FileAccess {
    /// Whether a client may name a file or folder. Relative paths are nobody's: they would mean the
    /// browser's.
    pub(crate) fn allows(&self, path: &str, origin: ClientOrigin) -> bool {
        let path = Path::new(path);
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let shared = origin == ClientOrigin::Internal && path.starts_with("/tmp");
        path.is_absolute() && plain && (shared || path.starts_with(&self.session))
    }

    /// The folder that a client's downloads go to: the one that it names, if it may.
    pub(crate) fn download_dir(&self, named: &str, origin: ClientOrigin) -> String {
        if self.allows(named, origin) {
            named.to_owned()
        } else {
            self.downloads.to_string_lossy().into_owned()
        }
    }

    /// Judges an address that a client wants a page of, or the reason of a refusal.
    pub(crate) fn check_address(
        &self,
        address: &str,
        origin: ClientOrigin,
    ) -> Result<(), &'static str> {
        // One that cannot be parsed is for the browser to refuse.
        let Ok(url) = Url::parse(address) else {
            return Ok(());
        };
        match url.scheme() {
            "view-source" => self.check_address(url.path(), origin),
            "file" => {
                let path = url.to_file_path().ok();
                match path.as_deref().and_then(Path::to_str) {
                    Some(path) if self.allows(path, origin) => Ok(()),
                    _ => Err(
                        "of this machine's files, only those in the session's folder can be opened",
                    ),
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
    fn paths_of_the_session_and_inside_of_its_tmp_may_be_named() {
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
    fn a_download_folder_elsewhere_becomes_the_sessions() {
        let plan = |path| file_access().download_dir(path, ClientOrigin::External);
        assert_eq!(plan("/data/s/1/work"), "/data/s/1/work");
        assert_eq!(plan("/tmp/playwright-artifacts-1"), "/data/s/1/b/downloads");
        assert_eq!(plan("/etc"), "/data/s/1/b/downloads");
    }

    #[test]
    fn ordinary_addresses_and_files_of_the_session_can_be_opened() {
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
    fn other_files_and_the_browsers_own_pages_cannot() {
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
