//! Rules for comments and documents. `typos` checks the spelling (`make check`).

use super::assert_none;
use super::source::{File, files};

/// Phrases with a plainer alternative.
const BANNED: &[(&str, &str)] = &[
    ("anew", "again"),
    ("be it", "whether"),
    ("beforehand", "before"),
    ("figures", "metrics, values or numbers"),
    ("folder", "directory"),
    ("for it is", "because it is"),
    ("in place of", "instead of"),
    ("is no", "is not a"),
    ("is told", "gets, learns"),
    ("judge", "check, evaluate"),
    ("lest", "so that … not"),
    ("makes no sense", "is invalid"),
    ("may be had", "is available"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("of its own", "its own"),
    ("onlooker", "viewer"),
    ("set aside", "quarantined, reserved"),
    ("stray", "orphan"),
    ("strays", "orphans"),
    ("way out", "egress"),
    ("whoever", "anyone who, the one that"),
];

/// Phrases that contain a banned one and are idiomatic.
const PERMITTED: &[&str] = &["is no longer", "there is no"];

/// First words that read badly in rustdoc, which shows a first line without its item.
const BANNED_OPENINGS: &[&str] = &[
    "How", "One that", "The same", "Those", "What", "Where", "Whether", "Who", "Whoever", "Whose",
];

/// The maximum width of a comment in columns.
const MAX_COLUMNS: usize = 100;

/// Lists the files whose prose the project owns.
fn written_files() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| {
        let is_written = file.has_extension(&[
            "rs", "md", "mjs", "js", "py", "html", "css", "toml", "yml", "yaml", "sh",
        ]) || file.path.starts_with("scripts/")
            || file.path.starts_with(".ci/")
            || file.path == "Makefile";
        // History keeps its words, and this file and the spelling configuration list the banned
        // ones.
        let is_excepted = file.path.starts_with("docs/adr/")
            || ["CHANGELOG.md", "_typos.toml", "tests/it/tidy/prose.rs"]
                .contains(&file.path.as_str())
            || file.path.ends_with("package-lock.json");
        is_written && !is_excepted
    })
}

/// Returns true if `text` contains `phrase` between word boundaries.
fn contains_phrase(text: &str, phrase: &str) -> bool {
    let is_word =
        |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(phrase).any(|(at, _)| {
        !is_word(text[..at].chars().next_back())
            && !is_word(text[at + phrase.len()..].chars().next())
    })
}

#[test]
fn no_banned_phrase_is_used() {
    let mut found = Vec::new();
    for file in written_files() {
        for (at, line) in file.text.lines().enumerate() {
            let mut line = line.to_lowercase();
            for phrase in PERMITTED {
                line = line.replace(phrase, "");
            }
            for (phrase, instead) in BANNED {
                if contains_phrase(&line, phrase) {
                    found.push(format!("{}:{}: {phrase} ({instead})", file.path, at + 1));
                }
            }
        }
    }
    assert_none("a banned phrase has a plainer alternative", &found);
}

#[test]
fn doc_comments_begin_with_a_verb_or_a_noun() {
    let mut found = Vec::new();
    for file in written_files().filter(File::is_rust) {
        let mut previous = "";
        for (at, line) in file.text.lines().enumerate() {
            let line = line.trim_start();
            let is_first = !previous.starts_with("///") && !previous.starts_with("//!");
            previous = line;
            let Some(text) = line
                .strip_prefix("/// ")
                .or_else(|| line.strip_prefix("//! "))
                .filter(|_| is_first)
            else {
                continue;
            };
            for opening in BANNED_OPENINGS {
                if text.starts_with(opening) && contains_phrase(text, opening) {
                    found.push(format!("{}:{}: {text}", file.path, at + 1));
                }
            }
        }
    }
    assert_none(
        "a doc comment begins with a verb (functions) or a noun (types)",
        &found,
    );
}

#[test]
fn comments_are_narrow() {
    let mut found = Vec::new();
    for file in written_files().filter(File::is_rust) {
        for (at, line) in file.text.lines().enumerate() {
            let is_wide = line.chars().count() > MAX_COLUMNS;
            // A link or a table row cannot be wrapped.
            let is_whole = line.contains("://")
                || ["/// |", "//! |"]
                    .iter()
                    .any(|row| line.trim_start().starts_with(row));
            if is_wide && line.trim_start().starts_with("//") && !is_whole {
                found.push(format!("{}:{}", file.path, at + 1));
            }
        }
    }
    assert_none(
        &format!("comments are at most {MAX_COLUMNS} columns wide"),
        &found,
    );
}
