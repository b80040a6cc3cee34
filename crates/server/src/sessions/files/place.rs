//! The directories that the paths of clients lead to: the working directory of the session, and the
//! default directory for downloads.

use std::path::{Path, PathBuf};

use hearth_sandbox::RelativePath;

use super::error::FileError;
use crate::sandbox::dirs::SessionDir;

/// The first name of paths in the directory for downloads, which is not in the working directory.
const DOWNLOADS: &str = ".downloads";

/// A directory of a session, and a path below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub dir: PathBuf,
    /// `None` for the directory itself.
    pub path: Option<RelativePath>,
}

impl Place {
    /// Returns the place of a path, or of the working directory.
    pub fn of(path: Option<RelativePath>, dirs: &SessionDir) -> Place {
        let below_downloads = path.as_ref().and_then(|path| {
            let (first, rest) = match path.as_str().split_once('/') {
                Some((first, rest)) => (first, RelativePath::parse(rest).ok()),
                None => (path.as_str(), None),
            };
            (first == DOWNLOADS).then_some(rest)
        });
        match below_downloads {
            Some(path) => Place {
                dir: dirs.downloads(),
                path,
            },
            None => Place {
                dir: dirs.work(),
                path,
            },
        }
    }

    /// Returns the directory and the path of a file.
    pub fn of_file(
        path: RelativePath,
        dirs: &SessionDir,
    ) -> Result<(PathBuf, RelativePath), FileError> {
        let Place { dir, path } = Place::of(Some(path), dirs);
        let path = path.ok_or(FileError::NotAFile("a directory"))?;
        Ok((dir, path))
    }
}

/// Returns the path with which clients read a file, if they can.
pub(in crate::sessions) fn client_path(file: &Path, dirs: &SessionDir) -> Option<RelativePath> {
    if let Ok(path) = file.strip_prefix(dirs.work()) {
        // A client that reads this path gets the downloads instead.
        let is_hidden = path.starts_with(DOWNLOADS);
        let path = RelativePath::parse(path.to_str()?).ok();
        return path.filter(|_| !is_hidden);
    }
    let path = file.strip_prefix(dirs.downloads()).ok()?.to_str()?;
    RelativePath::parse(&format!("{DOWNLOADS}/{path}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelativePath {
        RelativePath::parse(text).expect("a valid path")
    }

    #[test]
    fn paths_lead_to_the_working_directory_or_to_downloads() {
        let dirs = SessionDir::at(Path::new("/s/1"));
        for (text, dir, below) in [
            ("a", dirs.work(), Some("a")),
            ("a/.downloads/b", dirs.work(), Some("a/.downloads/b")),
            (".downloads2/b", dirs.work(), Some(".downloads2/b")),
            (".downloads", dirs.downloads(), None),
            (".downloads/b/c", dirs.downloads(), Some("b/c")),
        ] {
            let expected = Place {
                dir,
                path: below.map(path),
            };
            assert_eq!(Place::of(Some(path(text)), &dirs), expected, "{text}");
        }
        assert_eq!(Place::of(None, &dirs).dir, dirs.work());
        assert!(Place::of_file(path(".downloads"), &dirs).is_err());
    }

    #[test]
    fn a_file_has_the_path_that_leads_to_it() {
        let dirs = SessionDir::at(Path::new("/s/1"));
        for text in ["a/b", ".downloads/x"] {
            let (dir, below) = Place::of_file(path(text), &dirs).expect("a file");
            let file = dir.join(below.as_str());
            assert_eq!(client_path(&file, &dirs), Some(path(text)));
        }
        for file in [
            "/s/1/work",
            "/s/1/work/.downloads/x",
            "/s/1/b/user-data/x",
            "/s/12/work/a",
            "/tmp/x",
            "a",
        ] {
            assert_eq!(client_path(Path::new(file), &dirs), None, "{file}");
        }
    }
}
