//! Rules for the dependencies of the workspace's packages.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::assert_none;
use super::source::files;

/// The crates that the tests of every crate may use: for fuzz targets, and for a PostgreSQL server.
const FOR_TESTS: [&str; 2] = ["hearth-fuzz", "hearth-test-support"];

/// Returns the direct dependencies of each package of the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(hearth_test_support::repository())
        .output()
        .expect("cargo runs the tests, so it is there");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON");
    let name = |value: &Value| value["name"].as_str().expect("it has a name").to_owned();
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"]
                .as_array()
                .expect("there is a list of dependencies");
            let is_for_tests = |value: &&Value| {
                let name = name(value);
                value["kind"] == "dev" && FOR_TESTS.contains(&name.as_str())
            };
            let others = dependencies.iter().filter(|value| !is_for_tests(value));
            (name(package), others.map(name).collect())
        })
        .collect()
}

#[test]
fn crates_depend_on_each_other_as_documented() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("hearth-budget", [].as_slice()),
        ("hearth-contract", &[]),
        ("hearth-sandbox", &[]),
        ("hearth-runner", &["hearth-budget", "hearth-sandbox"]),
        ("hearth-browser", &["hearth-budget", "hearth-sandbox"]),
        ("hearth-egress", &[]),
        // The server creates the launcher that the other crates use.
        (
            "hearth-server",
            &[
                "hearth-budget",
                "hearth-contract",
                "hearth-runner",
                "hearth-browser",
                "hearth-egress",
                "hearth-sandbox",
                "hearth-peer",
            ],
        ),
        // The executable: a shim, or the server.
        (
            "hearth",
            &["hearth-sandbox", "hearth-server", "hearth-test-support"],
        ),
        ("hearth-peer", &[]),
        ("hearth-fuzz", &[]),
        ("hearth-test-support", &[]),
        ("hearth-bench", &["hearth-test-support"]),
        ("hearth-simulation", &["hearth-test-support"]),
    ]);
    let mut found = Vec::new();
    for (package, dependencies) in dependencies() {
        let Some(allowed) = allowed.get(package.as_str()) else {
            found.push(format!(
                "{package}: list a new crate and its dependencies here and in ARCHITECTURE.md"
            ));
            continue;
        };
        let inner = dependencies
            .iter()
            .filter(|name| name.starts_with("hearth-") && !allowed.contains(&name.as_str()));
        found.extend(inner.map(|name| format!("{package} must not depend on {name}")));
    }
    assert_none(
        "crates depend on each other only as in ARCHITECTURE.md",
        &found,
    );
}

#[test]
fn black_box_tests_use_no_crate_of_the_server() {
    let is_black_box = |path: &str| {
        ["tests/it/", "tests/clients/"]
            .iter()
            .any(|dir| path.starts_with(dir))
    };
    let mut found = Vec::new();
    for file in files()
        .iter()
        .filter(|file| file.is_rust() && is_black_box(&file.path))
    {
        let inner = file.mentions().into_iter().filter(|mention| {
            mention.segments[0].starts_with("hearth_")
                && mention.segments[0] != "hearth_test_support"
        });
        found.extend(inner.map(|mention| {
            format!(
                "{}:{} names {}",
                file.path,
                mention.line,
                mention.segments.join("::")
            )
        }));
    }
    assert_none(
        "the black-box tests use hearth_test_support and no crate of the server",
        &found,
    );
}

/// Returns the features of each package, as cargo resolves them for `kinds` of dependencies.
fn features(kinds: &str) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--offline",
            "--locked",
            "--prefix",
            "none",
        ])
        .args(["--edges", kinds, "--format", "{p}\t{f}"])
        .current_dir(hearth_test_support::repository())
        .output()
        .expect("cargo runs the tests, so it is there");
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).expect("names are UTF-8");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (package, features) in tree.lines().filter_map(|line| line.split_once('\t')) {
        let features = features.trim_end_matches(" (*)").to_owned();
        found
            .entry(package.to_owned())
            .or_default()
            .insert(features);
    }
    found
}

#[test]
fn tests_compile_no_library_a_second_time() {
    let served = features("normal,build");
    let tested = features("normal,build,dev");
    let found: Vec<String> = served
        .iter()
        // Tests can also link a library that otherwise only compiler plugins use.
        .filter(|(package, features)| {
            let tested = tested.get(*package);
            tested.is_none_or(|tested| !tested.is_superset(features))
        })
        .map(|(package, features)| {
            format!("{package} has {features:?} and {:?}", tested.get(package))
        })
        .collect();
    assert_none(
        "a feature that only tests enable compiles a library twice; enable it in a normal dependency of hearth-test-support",
        &found,
    );
}

#[test]
fn libraries_are_used_only_by_their_crates() {
    let users: &[(&str, &[&str])] = &[
        ("axum", &["hearth-server"]),
        ("tower", &["hearth-server"]),
        ("tower-http", &["hearth-server"]),
        ("sqlx", &["hearth-server"]),
        // The tests have a stand-in for another server.
        (
            "hyper",
            &["hearth-egress", "hearth-peer", "hearth-server", "hearth"],
        ),
        (
            "hyper-util",
            &["hearth-egress", "hearth-peer", "hearth-server", "hearth"],
        ),
        ("tokio-rustls", &["hearth-peer", "hearth-server", "hearth"]),
        ("rcgen", &["hearth-peer"]),
        ("chromiumoxide", &["hearth-browser", "hearth"]),
        ("chromiumoxide_cdp", &["hearth-browser"]),
        ("chromiumoxide_types", &["hearth-browser"]),
    ];
    let mut found = Vec::new();
    for (package, dependencies) in dependencies() {
        let others = users.iter().filter(|(library, users)| {
            dependencies.contains(*library) && !users.contains(&package.as_str())
        });
        found.extend(others.map(|(library, users)| {
            format!("{package} depends on {library}, which only {users:?} may use")
        }));
    }
    assert_none("a library is used only by its crates", &found);
}
