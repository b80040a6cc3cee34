//! The files of the code editor of the workbench, which are those of its package.

use std::collections::BTreeSet;
use std::process::Command;

use hearth_test_support::repository;

use super::source::{VENDORED, read};

/// The list of hashes, in the format of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// The sum of codemirror.js in the npm package `codemirror` 5.65.21. The list alone could be
/// changed together with the file.
const EDITOR: &str =
    "e98aac5ffa07bae58acd4ff07c4293059f8921c0ae0eba506929d8c6f41c9288  codemirror.js";

#[test]
fn the_code_editor_has_exactly_the_files_of_its_package() {
    let dir = repository().join(VENDORED);
    let sums = read(&format!("{VENDORED}{SUMS}"));
    assert!(sums.lines().any(|line| line == EDITOR), "{sums}");
    let listed: BTreeSet<String> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(_, name)| name.to_owned())
        .collect();
    let entries = std::fs::read_dir(&dir).expect("the directory exists");
    let there: BTreeSet<String> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("names are UTF-8"))
        .filter(|name| name != SUMS)
        .collect();
    assert_eq!(listed, there, "the list (left) names the files (right)");
    assert!(there.contains("LICENSE"));
    let output = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", SUMS])
        .current_dir(&dir)
        .output()
        .expect("sha256sum is installed");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_page_loads_the_files_of_the_code_editor() {
    let page = read("crates/server/src/workbench/page.rs");
    let sums = read(&format!("{VENDORED}{SUMS}"));
    let names = sums.lines().filter_map(|line| line.split_once("  "));
    let scripts = names.filter(|(_, name)| *name != "LICENSE");
    let missing: Vec<&str> = scripts
        .map(|(_, name)| name)
        .filter(|name| !page.contains(&format!("codemirror/{name}")))
        .collect();
    super::assert_none(
        "a file that no page loads is removed",
        &missing.into_iter().map(str::to_owned).collect::<Vec<_>>(),
    );
}
