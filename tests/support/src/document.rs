//! Sections of documents that tests generate, so that a page states only what a test observed.

use std::fs::File;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

/// Asserts that the section `name` of `document` (a path in the repository) equals `content`. With
/// `HEARTH_WRITE_DOCS=1` in the environment, it writes the section instead.
///
/// A section lies between two hand-written comments, `<!-- name: generated -->` and `<!-- name: end
/// -->`.
pub fn assert_section(document: &str, name: &str, content: &str) {
    section(
        document,
        name,
        content,
        std::env::var_os("HEARTH_WRITE_DOCS").is_some_and(|value| value == "1"),
    );
}

/// Writes the section `name` of `document`, for content that differs on every run.
pub fn write_section(document: &str, name: &str, content: &str) {
    section(document, name, content, true);
}

fn section(document: &str, name: &str, content: &str, is_written: bool) {
    let path = crate::repository().join(document);
    // Each test is a separate process, and several may write sections of one document at the same
    // time.
    let lock = File::open(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).expect("a file can be locked");
    let (before, old, after) = split(&path, document, name);
    let content = format!("\n{}\n", content.trim());
    if is_written {
        std::fs::write(&path, before + &content + &after).expect("the document can be written");
        return;
    }
    assert!(
        old == content,
        "{document} differs from the observed result; `make docs` updates it.\n--- document{old}--- observed{content}"
    );
}

fn split(path: &Path, document: &str, name: &str) -> (String, String, String) {
    let text = std::fs::read_to_string(path).expect("the document can be read");
    let (begin, end) = (
        format!("<!-- {name}: generated -->"),
        format!("<!-- {name}: end -->"),
    );
    let missing = || -> ! { panic!("{document} has no section between {begin} and {end}") };
    let Some((before, rest)) = text.split_once(&begin) else {
        missing()
    };
    let Some((old, after)) = rest.split_once(&end) else {
        missing()
    };
    (
        format!("{before}{begin}"),
        old.to_owned(),
        format!("{end}{after}"),
    )
}
