//! Rules for source files that clippy cannot check.

use super::assert_none;
use super::source::{File, files, product_files};

/// The maximum number of lines of a source file.
const MAX_LINES: usize = 500;

/// Asserts that product code names `paths` only in the files that `is_allowed` accepts.
#[track_caller]
fn assert_only_in(rule: &str, paths: &[&str], is_allowed: impl Fn(&str) -> bool) {
    let mut found = Vec::new();
    for file in product_files()
        .iter()
        .filter(|file| !is_allowed(&file.path))
    {
        for mention in file.mentions() {
            for path in paths.iter().filter(|path| mention.starts_with(path)) {
                found.push(format!("{}:{} names {path}", file.path, mention.line));
            }
        }
    }
    assert_none(rule, &found);
}

#[test]
fn axum_is_used_only_in_http() {
    assert_only_in(
        "axum is used only in crates/server/src/http",
        &["axum", "tower", "tower_http"],
        |path| path.starts_with("crates/server/src/http/"),
    );
}

#[test]
fn tls_is_used_only_for_outgoing_requests() {
    assert_only_in(
        "tokio_rustls is used only in crates/server/src/outgoing and crates/peer",
        &["tokio_rustls"],
        |path| {
            path.starts_with("crates/server/src/outgoing/") || path.starts_with("crates/peer/src/")
        },
    );
}

#[test]
fn object_store_is_used_only_in_object_storage() {
    assert_only_in(
        "object_store is used only in crates/server/src/object_storage",
        &["object_store"],
        |path| path.starts_with("crates/server/src/object_storage/"),
    );
}

#[test]
fn sqlx_is_used_only_in_the_store() {
    assert_only_in(
        "sqlx is used only in crates/server/src/store",
        &["sqlx"],
        |path| path.starts_with("crates/server/src/store/"),
    );
}

#[test]
fn status_codes_are_chosen_in_the_error_table() {
    // The egress proxy answers programs in sessions, whose requests are not API requests.
    let tables = [
        "crates/server/src/http/error.rs",
        "crates/egress/src/response.rs",
    ];
    let successes = ["OK", "NO_CONTENT", "PARTIAL_CONTENT", "SWITCHING_PROTOCOLS"];
    let mut found = Vec::new();
    for file in product_files()
        .iter()
        .filter(|file| !tables.contains(&file.path.as_str()))
    {
        for mention in file.mentions() {
            let mut segments = mention.segments.iter();
            let is_code = segments.any(|segment| segment == "StatusCode");
            if let Some(name) = segments.next().filter(|_| is_code)
                && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                && !successes.contains(&name.as_str())
            {
                found.push(format!(
                    "{}:{} names StatusCode::{name}",
                    file.path, mention.line
                ));
            }
        }
    }
    assert_none(
        "an error's status code is chosen only in http/error.rs, next to its retry behaviour",
        &found,
    );
}

#[test]
fn source_files_are_short() {
    let found: Vec<String> = files()
        .iter()
        .filter(|file| file.has_extension(&["rs", "mjs", "py", "js"]))
        .map(|file| (&file.path, file.text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path} has {lines}"))
        .collect();
    assert_none(
        &format!("a source file has at most {MAX_LINES} lines"),
        &found,
    );
}

#[test]
fn modules_are_named_after_their_contents() {
    let vague = [
        "util", "utils", "common", "helper", "helpers", "manager", "managers", "types", "misc",
    ];
    let is_vague = |file: &&File| {
        file.path
            .split('/')
            .any(|part| vague.contains(&part.split('.').next().unwrap_or_default()))
    };
    let found: Vec<String> = files()
        .iter()
        .filter(|file| file.has_extension(&["rs", "mjs", "py"]))
        .filter(is_vague)
        .map(|file| file.path.clone())
        .collect();
    assert_none("a module is named after its contents", &found);
}

#[test]
fn modules_begin_with_a_comment() {
    let mut found = Vec::new();
    for file in files() {
        let openings: &[&str] = match () {
            () if file.is_rust() => &["//! "],
            () if file.has_extension(&["mjs"]) => &["// ", "/*"],
            () if file.has_extension(&["py"]) => &["\"\"\"", "# "],
            () => continue,
        };
        let first = file
            .text
            .lines()
            .find(|line| !line.starts_with("#!/"))
            .unwrap_or_default();
        if !openings.iter().any(|opening| first.starts_with(opening)) {
            found.push(file.path);
        }
    }
    assert_none(
        "a module begins with a comment that says what it does (`//!` in Rust)",
        &found,
    );
}
