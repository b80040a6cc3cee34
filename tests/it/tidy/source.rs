//! What the rules look at: the repository's own files, and Rust code with everything blanked that
//! is not code.
//!
//! Knows no rule.

use std::path::Path;
use std::process::Command;

use hearth_test_support::repository;

/// A file of the repository.
pub struct File {
    /// From the root, with slashes.
    pub path: String,
    pub text: String,
}

impl File {
    /// The code of a Rust file, with comments, literals and test code blanked; lines stay where
    /// they are.
    pub fn code(&self) -> String {
        if self.path.contains("/tests/") || self.path.ends_with("/tests.rs") {
            return String::new();
        }
        without_tests(&without_prose(&self.text))
    }

    pub fn is_rust(&self) -> bool {
        self.has_extension(&["rs"])
    }

    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = Path::new(&self.path)
            .extension()
            .and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    }
}

/// The files that git tracks or would track, so that a new file is judged before it is added.
pub fn files() -> Vec<File> {
    // Without the setting git refuses a checkout that belongs to another user, as in most
    // containers.
    let output = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(repository())
        .output()
        .expect("git is needed to tell the repository's files from others");
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let root = repository();
    let paths = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let mut files: Vec<File> = paths
        .split_terminator('\0')
        // A file that is deleted but not yet committed is still listed; a binary one has no text.
        .filter_map(|path| {
            Some(File {
                path: path.to_owned(),
                text: std::fs::read_to_string(root.join(path)).ok()?,
            })
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    assert!(
        files.iter().any(|file| file.path == "src/main.rs"),
        "git ls-files lists the sources"
    );
    files
}

/// The text of one file that must be there.
pub fn read(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// 1 for the first line.
pub fn line_at(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where `word` (an identifier or a path such as `std::env`) stands in code as a whole word.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let whole = |offset: &usize| {
        !code[..*offset].chars().next_back().is_some_and(is_word)
            && !code[offset + word.len()..]
                .chars()
                .next()
                .is_some_and(is_word)
    };
    code.match_indices(word)
        .map(|(offset, _)| offset)
        .filter(whole)
        .collect()
}

/// Where a path is named, written out (`std::env::var`) or in braces (`use std::{env, fs}`).
pub fn mentions(code: &str, path: &str) -> Vec<usize> {
    let mut found = words(code, path);
    if let Some((parent, last)) = path.rsplit_once("::") {
        let opening = format!("{parent}::{{");
        for (offset, _) in code.match_indices(&opening) {
            let start = offset + opening.len() - 1;
            let end = closing_brace(code, start);
            found.extend(
                words(&code[start..end], last)
                    .into_iter()
                    .map(|inside| start + inside),
            );
        }
    }
    found.sort_unstable();
    found
}

/// The offset after the brace that closes the one at `start`, or the end.
fn closing_brace(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return offset + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Replaces everything but line ends with spaces.
fn blank(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(
        bytes
            .iter()
            .map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }),
    );
}

/// Blanks comments and the insides of string and character literals.
pub fn without_prose(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let after_word = at > 0 && is_word(char::from(bytes[at - 1]));
        let length = if rest.starts_with(b"//") {
            rest.iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if rest[0] == b'"' {
            string(rest)
        } else if !after_word && let Some(length) = raw_string(rest) {
            length
        } else if rest[0] == b'\'' {
            character(rest)
        } else {
            out.push(rest[0]);
            at += 1;
            continue;
        };
        blank(&mut out, &rest[..length]);
        at += length;
    }
    String::from_utf8(out).expect("whole characters are copied or blanked")
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = match rest {
        [b'r', ..] => 0,
        [b'b' | b'c', b'r', ..] => 1,
        _ => return None,
    };
    let hashes = rest[prefix + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = prefix + 1 + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = rest[open + 1..]
        .windows(close.len())
        .position(|window| window == close.as_bytes())?;
    Some(open + 1 + inside + close.len())
}

/// A character literal, or one byte of a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return rest
            .iter()
            .skip(3)
            .position(|byte| *byte == b'\'')
            .map_or(rest.len(), |at| at + 4);
    }
    let text = String::from_utf8_lossy(&rest[1..rest.len().min(6)]);
    match text.chars().next() {
        Some(first) if rest.get(1 + first.len_utf8()) == Some(&b'\'') => 2 + first.len_utf8(),
        _ => 1,
    }
}

/// Blanks the items that stand behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut out = Vec::with_capacity(code.len());
    let mut at = 0;
    while let Some(found) = code[at..].find(ATTRIBUTE).map(|found| at + found) {
        out.extend_from_slice(&code.as_bytes()[at..found]);
        let body = found + ATTRIBUTE.len();
        let end = match code[body..].find(['{', ';']).map(|offset| body + offset) {
            Some(offset) if code.as_bytes()[offset] == b'{' => closing_brace(code, offset),
            Some(offset) => offset + 1,
            None => code.len(),
        };
        blank(&mut out, &code.as_bytes()[found..end]);
        at = end;
    }
    out.extend_from_slice(&code.as_bytes()[at..]);
    String::from_utf8(out).expect("whole characters are copied or blanked")
}
