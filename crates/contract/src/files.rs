//! The responses of requests for files of a session.

use serde::Serialize;

use crate::response::True;

/// The kind of a [`FileItem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// One entry of a [`FilesResponse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct FileItem {
    pub path: String,
    #[serde(rename = "type")]
    pub kind: FileKind,
    pub size_bytes: u64,
    pub modified_at: String,
}

/// The entries of one directory, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct FilesResponse {
    pub success: True,
    pub files: Vec<FileItem>,
    /// True if the directory has more entries, otherwise absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The response to writing a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct FileWrittenResponse {
    pub success: True,
    pub path: String,
    pub size_bytes: u64,
}

/// The response to removing a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileRemovedResponse {
    success: True,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_truncated_list_says_so() {
        let item = FileItem {
            path: "a/b".into(),
            kind: FileKind::Directory,
            size_bytes: 7,
            modified_at: "m".into(),
        };
        let mut list = FilesResponse {
            success: True,
            files: vec![item],
            truncated: false,
        };
        let text = |list: &FilesResponse| serde_json::to_string(list).expect("plain data");
        let item = r#"{"path":"a/b","type":"directory","sizeBytes":7,"modifiedAt":"m"}"#;
        assert_eq!(
            text(&list),
            format!(r#"{{"success":true,"files":[{item}]}}"#)
        );
        list.truncated = true;
        assert!(text(&list).ends_with(r#"],"truncated":true}"#));
    }
}
