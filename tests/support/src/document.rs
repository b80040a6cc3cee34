//! Sections of documents that tests write: what a page says was seen, is what was seen.

use std::fs::File;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

/// Asserts that the section `name` of `document` (a path in the repository) is `content`. With
/// `HEARTH_WRITE_DOCS=1` in the environment of the tests the section is written instead.
///
/// A section stands between two comments, `<!-- name: generated -->` and `<!-- name: end -->`,
/// which somebody has put there by hand.
pub fn assert_section(document: &str, name: &str, content: &str) {
    section(
        document,
        name,
        content,
        std::env::var_os("HEARTH_WRITE_DOCS").is_some_and(|value| value == "1"),
    );
}

/// Writes the section `name` of `document`, for what is different every time.
pub fn write_section(document: &str, name: &str, content: &str) {
    section(document, name, content, true);
}

fn section(document: &str, name: &str, content: &str, is_written: bool) {
    let path = crate::repository().join(document);
    // Tests are processes of their own and may write sections of one document at the same time.
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
        "{document} does not say what was seen; `make docs` writes it.\n--- it says{old}--- seen{content}"
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
