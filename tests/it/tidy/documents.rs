//! Rules for documents and lock files.

use std::collections::BTreeSet;

use serde_json::Value;

use super::assert_none;
use super::source::{File, files, read};

/// Returns the names of variables in a text, such as `HEARTH_LISTEN`.
fn variables(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !(character.is_ascii_uppercase() || character == '_'))
        .filter(|word| {
            word.strip_prefix("HEARTH_")
                .is_some_and(|rest| !rest.is_empty())
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn documents_name_every_setting_and_no_other() {
    let is_settings = |file: &&File| file.path.starts_with("crates/server/src/config");
    let files = files();
    let settings: BTreeSet<String> = files
        .iter()
        .filter(is_settings)
        .flat_map(|file| variables(&file.text))
        // Other variables of tests are not settings.
        .filter(|name| name == "HEARTH_TEST_MODE" || !name.starts_with("HEARTH_TEST_"))
        .collect();
    assert!(
        settings.contains("HEARTH_LISTEN"),
        "config contains the settings"
    );
    assert_eq!(
        variables(&read("docs/CONFIGURATION.md")),
        settings,
        "docs/CONFIGURATION.md (left) and crates/server/src/config (right) name the same settings"
    );
    for document in ["README.md", "docs/OPERATIONS.md"] {
        let unknown: Vec<String> = variables(&read(document))
            .difference(&settings)
            .cloned()
            .collect();
        assert_none(
            &format!("{document} names only existing settings"),
            &unknown,
        );
    }
}

#[test]
fn the_readme_is_short() {
    let readme = read("README.md");
    let (lines, words) = (readme.lines().count(), readme.split_whitespace().count());
    let found = [(lines, 130, "lines"), (words, 1000, "words")].into_iter();
    let found: Vec<String> = found
        .filter(|(count, max, _)| count > max)
        .map(|(count, max, what)| format!("{count} {what}, of at most {max}"))
        .collect();
    assert_none("the README is short; details belong in docs/", &found);
}

/// Settings that the container image or the compose file itself sets.
const FIXED_IN_COMPOSE: [&str; 5] = [
    "HEARTH_LISTEN",
    "HEARTH_DATA_DIR",
    "HEARTH_RUNTIME_DIR",
    "HEARTH_BROWSER",
    "HEARTH_API_KEYS",
];

/// Variables of clients, which are no settings of the server.
const OF_CLIENTS: [&str; 2] = ["HEARTH_URL", "HEARTH_API_KEY"];

/// Secrets that the compose file of a cluster takes from files.
const FILES_IN_CLUSTER: [&str; 3] = [
    "HEARTH_OPERATOR_KEY",
    "HEARTH_DATABASE_URL",
    "HEARTH_CLUSTER_SECRET",
];

/// Lists the settings that none of the compose files passes through.
fn not_passed_by(compose: &[&str]) -> Vec<String> {
    let passed: BTreeSet<String> = compose
        .iter()
        .flat_map(|path| variables(&read(path)))
        .collect();
    variables(&read("docs/CONFIGURATION.md"))
        .into_iter()
        .filter(|name| !passed.contains(name) && !FIXED_IN_COMPOSE.contains(&name.as_str()))
        .filter(|name| !OF_CLIENTS.contains(&name.as_str()))
        .filter(|name| name != "HEARTH_LET_OTHER_MACHINES_RUN_UNCONFINED_CODE")
        .collect()
}

#[test]
fn compose_passes_every_setting_through() {
    let missing = not_passed_by(&["docker/compose.yml", "docker/compose.operator.yml"]);
    assert_none("docker/compose.yml passes every setting through", &missing);
}

#[test]
fn the_compose_file_of_a_cluster_passes_every_setting_through() {
    let mut missing = not_passed_by(&["docker/compose.cluster.yml"]);
    // A node cannot be in test mode.
    missing.retain(|name| !FILES_IN_CLUSTER.contains(&name.as_str()) && name != "HEARTH_TEST_MODE");
    assert_none(
        "docker/compose.cluster.yml passes every setting through",
        &missing,
    );
}

/// Returns the rule ids in the parts of a text between `before` and `after`.
fn rules<'a>(text: &'a str, before: &'a str, after: &'a [char]) -> impl Iterator<Item = &'a str> {
    let named = text
        .split(before)
        .skip(1)
        .filter_map(move |rest| rest.split(after).next());
    let words = named.flat_map(|list| list.split([',', ' ']));
    words.filter(|word| word.len() > 1 && word[1..].bytes().all(|digit| digit.is_ascii_digit()))
}

#[test]
fn every_rule_of_the_broker_has_a_test_that_cites_it() {
    let document = read("docs/broker.md");
    let known: BTreeSet<&str> = rules(&document, "| **", &['*']).collect();
    let sources = files();
    let rust = sources
        .iter()
        .filter(|file| file.is_rust() && !file.path.contains("tidy"));
    let cited: BTreeSet<&str> = rust
        .flat_map(|file| {
            ["/// Rule ", "/// Rules "].map(|opening| rules(&file.text, opening, &['.', ':', '\n']))
        })
        .flatten()
        .collect();
    assert!(
        known.len() > 40,
        "the rules are found in docs/broker.md: {known:?}"
    );
    assert_eq!(
        known, cited,
        "the rules of docs/broker.md (left) are those that tests cite (right)"
    );
}

#[test]
fn the_lock_files_of_cargo_name_no_registry_but_the_default_one() {
    for path in ["Cargo.lock", "tests/official/rust/Cargo.lock"] {
        let lock = read(path);
        let sources: BTreeSet<&str> = lock
            .lines()
            .filter_map(|line| line.strip_prefix("source = "))
            .collect();
        let strange: Vec<&&str> = sources
            .iter()
            .filter(|source| !source.ends_with("/rust-lang/crates.io-index\""))
            .collect();
        assert!(
            sources.len() == 1 && strange.is_empty(),
            "this in {path} would bind everybody to it: {strange:?}"
        );
    }
}

#[test]
fn the_lock_files_of_npm_pin_bytes_and_name_no_registry() {
    let mut found = Vec::new();
    for dir in ["runtime/libraries", "tests/clients", "tests/official"] {
        let lock: Value =
            serde_json::from_str(&read(&format!("{dir}/package-lock.json"))).expect("it is JSON");
        let packages = lock["packages"].as_object().expect("it lists packages");
        for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            if package.get("resolved").is_some() || !package["integrity"].is_string() {
                found.push(format!("{dir}: {path}"));
            }
        }
    }
    assert_none(
        "a package is pinned by its hash and comes from whatever registry the user has configured",
        &found,
    );
}
