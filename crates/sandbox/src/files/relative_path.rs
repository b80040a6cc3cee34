//! Paths that clients name, below a directory of a session.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Maximum size of a path. Linux limits a path to 4096 bytes, which include the session's own.
const MAX_BYTES: usize = 3072;

/// Maximum size of a name on all usual file systems.
const MAX_NAME_BYTES: usize = 255;

/// Maximum number of names in a path.
const MAX_NAMES: usize = 64;

/// A path below a directory: names with slashes between them, of which none is `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// A reason why a text is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidPath {
    /// The path is empty, or has an empty name: two slashes, or one at the beginning or the end.
    #[error("it starts or ends with a slash, or has two in a row")]
    EmptyName,
    /// A name is `.` or `..`.
    #[error("it contains the name \".\" or \"..\"")]
    Dots,
    /// A zero byte, which no file has in its name.
    #[error("it contains a zero byte")]
    ZeroByte,
    /// The path, a name or the number of names is above the maximum.
    #[error("it is too long")]
    TooLong,
}

impl RelativePath {
    /// Checks a path.
    pub fn parse(path: &str) -> Result<RelativePath, InvalidPath> {
        if path.len() > MAX_BYTES || path.split('/').count() > MAX_NAMES {
            return Err(InvalidPath::TooLong);
        }
        path.split('/').try_for_each(|name| match name {
            "" => Err(InvalidPath::EmptyName),
            "." | ".." => Err(InvalidPath::Dots),
            name if name.contains('\0') => Err(InvalidPath::ZeroByte),
            name if name.len() > MAX_NAME_BYTES => Err(InvalidPath::TooLong),
            _ => Ok(()),
        })?;
        Ok(RelativePath(path.to_owned()))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last name.
    pub fn name(&self) -> &str {
        self.parent_and_name().1
    }

    /// Returns all names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the names of the directories above, and the last name.
    pub(crate) fn parent_and_name(&self) -> (impl Iterator<Item = &str>, &str) {
        let (above, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        (above.split('/').filter(|name| !name.is_empty()), name)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = InvalidPath;

    fn try_from(path: String) -> Result<RelativePath, InvalidPath> {
        RelativePath::parse(&path)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> String {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_names_below_its_directory_only() {
        for path in ["a", "a/b.txt", "..a", "a..", ".hidden/…", "a b/\n"] {
            let parsed = RelativePath::parse(path).expect("valid");
            assert_eq!(parsed.as_str(), path);
        }
        let deep = vec!["d"; MAX_NAMES].join("/");
        assert!(RelativePath::parse(&deep).is_ok());
        for (path, reason) in [
            ("", InvalidPath::EmptyName),
            ("/", InvalidPath::EmptyName),
            ("/etc/passwd", InvalidPath::EmptyName),
            ("a//b", InvalidPath::EmptyName),
            ("a/", InvalidPath::EmptyName),
            (".", InvalidPath::Dots),
            ("..", InvalidPath::Dots),
            ("a/../b", InvalidPath::Dots),
            ("../work/a", InvalidPath::Dots),
            ("a/./b", InvalidPath::Dots),
            ("a\0b", InvalidPath::ZeroByte),
            (&"n".repeat(MAX_NAME_BYTES + 1), InvalidPath::TooLong),
            (&format!("{deep}/d"), InvalidPath::TooLong),
            (&"d/".repeat(MAX_BYTES), InvalidPath::TooLong),
        ] {
            assert_eq!(RelativePath::parse(path), Err(reason), "{path:?}");
        }
    }

    #[test]
    fn a_message_with_an_invalid_path_is_rejected() {
        let read = serde_json::from_str::<RelativePath>;
        assert_eq!(read("\"a/b\"").expect("valid").name(), "b");
        assert!(read("\"a/../b\"").is_err());
    }

    #[test]
    fn the_last_name_is_separate() {
        let path = RelativePath::parse("a/b/c").expect("valid");
        let (above, name) = path.parent_and_name();
        assert_eq!((above.collect::<Vec<_>>(), name), (vec!["a", "b"], "c"));
        let path = RelativePath::parse("c").expect("valid");
        let (above, name) = path.parent_and_name();
        assert_eq!((above.count(), name), (0, "c"));
    }
}
