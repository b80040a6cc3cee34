//! The content types of files, by the extensions of their names.

use std::fmt::Write;

/// Extensions in lower case, and their types. Browsers open none of them, because the response says
/// that they are attachments.
const TYPES: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("epub", "application/epub+zip"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("py", "text/x-python"),
    ("sh", "application/x-sh"),
    ("sqlite", "application/vnd.sqlite3"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The type of a file whose extension is not known.
const UNKNOWN: &str = "application/octet-stream";

/// Returns the content type of a file with this name. The encoding of text is not known, so none is
/// named.
pub(super) fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let is_known = |(known, _): &&(&str, &str)| {
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case(known))
    };
    TYPES
        .iter()
        .find(is_known)
        .map_or(UNKNOWN, |(_, kind)| kind)
}

/// Returns the value of `Content-Disposition` that suggests this name (RFC 6266).
pub(super) fn attachment(name: &str) -> String {
    let mut value = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides() {
        for (name, kind) in [
            ("a.png", "image/png"),
            ("archive.tar.GZ", "application/gzip"),
            ("page.html", "text/html"),
            ("noext", UNKNOWN),
            ("a.", UNKNOWN),
            ("a.unknown", UNKNOWN),
            (".json", "application/json"),
        ] {
            assert_eq!(content_type(name), kind, "{name}");
        }
    }

    #[test]
    fn a_suggested_name_breaks_no_header() {
        assert_eq!(
            attachment("a\r\nb\"; ü.txt"),
            "attachment; filename*=UTF-8''a%0D%0Ab%22%3B%20%C3%BC.txt"
        );
    }
}
