//! The invariants of ARCHITECTURE.md, as far as a machine can hold them: what a crate must not
//! know, and where alone a dangerous thing may stand. Nothing is started here but git and `cargo
//! metadata`.
//!
//! A rule that a change breaks for a good reason is changed here, with the reason, and in
//! ARCHITECTURE.md.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use source::{File, files, line_at, mentions, read, without_prose, words};

/// Files over the limit, each with the reason why it is better long.
const LONG_FILES: &[(&str, &str)] = &[];

/// Places that sleep, each with the reason why there is no event to wait for.
const SLEEPS: &[(&str, &str)] = &[];

/// The longest a source file may be, in lines.
const MAX_LINES: usize = 600;

/// The sources of the product: no tests, no fixtures.
fn product_files() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| {
        let is_product = ["crates/", "src/"]
            .iter()
            .any(|dir| file.path.starts_with(dir));
        file.is_rust() && (is_product || file.path == "build.rs")
    })
}

/// Fails with the rule and every place that breaks it.
#[track_caller]
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}\n  {}\n", found.join("\n  "));
}

/// Asserts that product code names none of `paths` outside of the files that `allowed` accepts.
#[track_caller]
fn assert_only_in(rule: &str, paths: &[&str], allowed: impl Fn(&str) -> bool) {
    let mut found = Vec::new();
    for file in product_files().filter(|file| !allowed(&file.path)) {
        let code = file.code();
        for path in paths {
            let lines = mentions(&code, path)
                .into_iter()
                .map(|offset| line_at(&code, offset));
            found.extend(lines.map(|line| format!("{}:{line}: {path}", file.path)));
        }
    }
    assert_none(rule, &found);
}

fn is_excepted(path: &str, exceptions: &[(&str, &str)]) -> bool {
    exceptions.iter().any(|(excepted, _)| *excepted == path)
}

/// What each package of the workspace depends on, by cargo's own reading of the manifests.
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
            (name(package), dependencies.iter().map(name).collect())
        })
        .collect()
}

#[test]
fn crates_know_only_the_crates_that_the_arrows_allow() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("hearth-contract", [].as_slice()),
        ("hearth-sandbox", &[]),
        ("hearth-runner", &["hearth-sandbox"]),
        ("hearth-browser", &["hearth-sandbox"]),
        ("hearth-egress", &[]),
        // sandbox too: the server makes the one launcher and hands it down
        (
            "hearth-server",
            &[
                "hearth-contract",
                "hearth-runner",
                "hearth-browser",
                "hearth-egress",
                "hearth-sandbox",
            ],
        ),
        // The executable: a shim, or the server.
        (
            "hearth",
            &["hearth-sandbox", "hearth-server", "hearth-test-support"],
        ),
        // black-box: the tests see what any client sees
        ("hearth-test-support", &[]),
        ("hearth-bench", &["hearth-test-support"]),
    ]);
    let mut found = Vec::new();
    for (package, dependencies) in dependencies() {
        let Some(allowed) = allowed.get(package.as_str()) else {
            found.push(format!(
                "{package}: a new crate needs its arrows here and a page in docs/adr"
            ));
            continue;
        };
        let inner = dependencies
            .iter()
            .filter(|name| name.starts_with("hearth-") && !allowed.contains(&name.as_str()));
        found.extend(inner.map(|name| format!("{package} must not depend on {name}")));
    }
    assert_none(
        "the arrows between crates are those of ARCHITECTURE.md",
        &found,
    );
}

#[test]
fn the_black_box_tests_see_what_a_client_sees() {
    let mut found = Vec::new();
    let tests = ["tests/it/", "tests/clients/"];
    for file in files()
        .iter()
        .filter(|file| file.is_rust() && tests.iter().any(|dir| file.path.starts_with(dir)))
    {
        let code = without_prose(&file.text);
        for (at, _) in code.match_indices("hearth_") {
            if !code[at..].starts_with("hearth_test_support") {
                found.push(format!("{}:{}", file.path, line_at(&code, at)));
            }
        }
    }
    assert_none(
        "the black-box tests use hearth_test_support and no crate of the server",
        &found,
    );
}

/// Each package with its features, as cargo resolves them for `kinds` of dependencies.
fn features(kinds: &str) -> BTreeMap<String, String> {
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
    let lines = tree.lines().filter_map(|line| line.split_once('\t'));
    lines
        .map(|(package, features)| {
            let features = features.trim_end_matches(" (*)");
            (package.to_owned(), features.to_owned())
        })
        .collect()
}

#[test]
fn the_tests_share_every_library_with_the_server() {
    let served = features("normal,build");
    let tested = features("normal,build,dev");
    let found: Vec<String> = served
        .iter()
        .filter(|(package, features)| tested.get(*package) != Some(*features))
        .map(|(package, features)| format!("{package}: {features} and {:?}", tested.get(package)))
        .collect();
    assert_none(
        "a feature that only tests enable compiles a library twice: enable it in a normal dependency of hearth-test-support",
        &found,
    );
}

#[test]
fn heavy_libraries_stay_in_their_rooms() {
    let rooms: &[(&str, &[&str])] = &[
        ("axum", &["hearth-server"]),
        ("tower", &["hearth-server"]),
        ("tower-http", &["hearth-server"]),
        ("sqlx", &["hearth-server"]),
        ("hyper", &["hearth-egress"]),
        ("hyper-util", &["hearth-egress"]),
        ("chromiumoxide", &["hearth-browser", "hearth"]),
        ("chromiumoxide_cdp", &["hearth-browser"]),
        ("chromiumoxide_types", &["hearth-browser"]),
    ];
    let mut found = Vec::new();
    for (package, dependencies) in dependencies() {
        let strays = rooms.iter().filter(|(library, rooms)| {
            dependencies.contains(*library) && !rooms.contains(&package.as_str())
        });
        found.extend(strays.map(|(library, rooms)| {
            format!("{package} depends on {library}, which is for {rooms:?}")
        }));
    }
    assert_none("a library is known to its own crate only", &found);
    assert_only_in("sqlx is known to the store only", &["sqlx"], |path| {
        path.starts_with("crates/server/src/store")
    });
}

#[test]
fn programs_are_started_by_sandbox_alone() {
    let starting = [
        "process::Command",
        "tokio::process",
        "unistd::fork",
        "unistd::execve",
        "unistd::execv",
        "posix_spawn",
    ];
    let rule =
        "programs are started only by crates/sandbox, or nothing could end them with their trees";
    assert_only_in(rule, &starting, |path| path.starts_with("crates/sandbox/"));
}

#[test]
fn unsafe_code_stands_in_one_reviewed_module() {
    let mut found = Vec::new();
    for file in files()
        .iter()
        .filter(|file| file.is_rust() && file.path != "crates/sandbox/src/sys.rs")
    {
        let code = without_prose(&file.text);
        found.extend(
            words(&code, "unsafe")
                .into_iter()
                .map(|at| format!("{}:{}", file.path, line_at(&code, at))),
        );
    }
    assert_none(
        "unsafe stands only in crates/sandbox/src/sys.rs, tests included",
        &found,
    );
}

#[test]
fn only_the_settings_read_the_environment() {
    let is_settings = |path: &str| {
        path == "crates/server/src/config.rs" || path.starts_with("crates/server/src/config/")
    };
    let rule =
        "std::env is for config.rs alone (main.rs reads its arguments): settings are read once";
    // Cargo tells a build script about its target in the environment; it runs before there is a
    // server.
    let is_excepted = |path: &str| path == "src/main.rs" || path == "build.rs";
    assert_only_in(rule, &["std::env"], |path| {
        is_settings(path) || is_excepted(path)
    });
    let main = without_prose(&read("src/main.rs"));
    let others = mentions(&main, "std::env")
        .into_iter()
        .filter(|at| !main[*at..].starts_with("std::env::args"));
    let others: Vec<String> = others
        .map(|at| format!("src/main.rs:{}", line_at(&main, at)))
        .collect();
    assert_none(rule, &others);
}

#[test]
fn only_the_clock_reads_wall_time() {
    let now = [
        "SystemTime::now",
        "Timestamp::now",
        "Zoned::now",
        "UNIX_EPOCH.elapsed",
        "CLOCK_REALTIME",
    ];
    let rule = "wall time comes from clock.rs alone; deadlines are monotonic";
    assert_only_in(rule, &now, |path| path == "crates/server/src/clock.rs");
}

#[test]
fn only_the_error_table_chooses_status_codes() {
    // A proxy speaks to programs in sessions, whose requests are not the API's.
    let tables = [
        "crates/server/src/http/error.rs",
        "crates/egress/src/response.rs",
    ];
    let mut found = Vec::new();
    for file in product_files().filter(|file| !tables.contains(&file.path.as_str())) {
        let code = file.code();
        for (at, prefix) in code.match_indices("StatusCode::") {
            let name = code[at + prefix.len()..]
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            if !["OK", "NO_CONTENT", "SWITCHING_PROTOCOLS"].contains(&name) {
                found.push(format!(
                    "{}:{}: StatusCode::{name}",
                    file.path,
                    line_at(&code, at)
                ));
            }
        }
    }
    assert_none(
        "a status other than success is chosen in server/error.rs alone, where retries are thought of, and in egress/response.rs",
        &found,
    );
}

#[test]
fn no_task_is_spawned_without_an_owner() {
    let bare = [
        "tokio::spawn",
        "task::spawn",
        "task::spawn_local",
        "Handle::current",
    ];
    assert_only_in(
        "a task belongs to a TaskTracker, which shutdown waits for",
        &bare,
        |_| false,
    );
}

#[test]
fn nothing_sleeps_until_it_works() {
    let sleeping = ["thread::sleep", "time::sleep", "unistd::sleep"];
    let rule = "waits are on events with a deadline (timeout, sleep_until); an exception stands in SLEEPS with its reason";
    assert_only_in(rule, &sleeping, |path| is_excepted(path, SLEEPS));
}

#[test]
fn nothing_unfinished_is_left() {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        let code = without_prose(&file.text);
        for name in ["todo", "unimplemented", "dbg"] {
            let calls = words(&code, name)
                .into_iter()
                .filter(|at| code[at + name.len()..].starts_with('!'));
            found.extend(calls.map(|at| format!("{}:{}: {name}!", file.path, line_at(&code, at))));
        }
    }
    assert_none(
        "no stub is called done, and no debugging output stays",
        &found,
    );
}

#[test]
fn source_files_are_short() {
    let long = files().into_iter().filter_map(|file| {
        let lines = file.text.lines().count();
        let is_long = file.has_extension(&["rs", "mjs", "py"])
            && lines > MAX_LINES
            && !is_excepted(&file.path, LONG_FILES);
        is_long.then(|| format!("{}: {lines} lines", file.path))
    });
    let rule = format!(
        "a source file has at most {MAX_LINES} lines; an exception stands in LONG_FILES with its reason"
    );
    assert_none(&rule, &long.collect::<Vec<_>>());
}

#[test]
fn modules_are_named_after_what_they_do() {
    let vague = [
        "util", "utils", "common", "helper", "helpers", "manager", "managers", "types", "misc",
    ];
    let sources = files()
        .into_iter()
        .filter(|file| file.has_extension(&["rs", "mjs", "py"]));
    let named = sources.filter(|file| {
        file.path
            .split('/')
            .any(|part| vague.contains(&part.split('.').next().unwrap_or_default()))
    });
    let found: Vec<String> = named.map(|file| file.path).collect();
    assert_none("a name says what is inside; these say nothing", &found);
}

#[test]
fn every_module_begins_with_what_it_is_for() {
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
        "a module begins with a comment (`//!` in Rust) on what it is for and what it must not know",
        &found,
    );
}

/// The names of variables in a text, such as `HEARTH_LISTEN`.
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
fn the_documents_name_every_setting_and_no_other() {
    let is_settings = |file: &&File| file.path.starts_with("crates/server/src/config");
    let files = files();
    let settings: BTreeSet<String> = files
        .iter()
        .filter(is_settings)
        .flat_map(|file| variables(&file.text))
        .collect();
    assert!(
        settings.contains("HEARTH_LISTEN"),
        "the settings are found in config.rs"
    );
    assert_eq!(
        variables(&read("docs/CONFIGURATION.md")),
        settings,
        "docs/CONFIGURATION.md (left) and config.rs (right) name the same settings"
    );
    for document in ["README.md", "docs/OPERATIONS.md"] {
        let unknown: Vec<String> = variables(&read(document))
            .difference(&settings)
            .cloned()
            .collect();
        assert_none(
            &format!("{document} names settings that there are"),
            &unknown,
        );
    }
}

/// The numbers of rules in a text that stand between `before` and `after`.
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
fn the_lock_file_names_no_registry_but_the_default_one() {
    let lock = read("Cargo.lock");
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
        "this in Cargo.lock would bind everybody to it: {strange:?}"
    );
}

#[test]
fn the_lock_files_of_npm_pin_bytes_and_name_no_registry() {
    let mut found = Vec::new();
    for folder in ["tests/clients", "tests/official"] {
        let lock: Value = serde_json::from_str(&read(&format!("{folder}/package-lock.json")))
            .expect("it is JSON");
        let packages = lock["packages"].as_object().expect("it lists packages");
        for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            if package.get("resolved").is_some() || !package["integrity"].is_string() {
                found.push(format!("{folder}: {path}"));
            }
        }
    }
    assert_none(
        "a package is pinned by its hash and comes from whatever registry the user has configured",
        &found,
    );
}

/// The rules above are worth what this reading is worth.
#[test]
fn comments_literals_and_tests_are_no_code() {
    let text = r##"
        /// std::env in a comment /* of any kind */
        fn real<'a>(x: &'a str) -> char { std::env::var(r#"std::env " "#); '"' }
        use std::{fs, env, process::{Command, exit}};
        let s = "a \" std::env"; let c = '\''; let b = b'\\'; std::environment();
        #[cfg(test)]
        mod tests { fn unit() { std::env::args(); } }
        fn last() { std::env::vars() } /* std::env /* std::env */ std::env */
    "##;
    let file = File {
        path: "crates/x/src/y.rs".to_owned(),
        text: text.to_owned(),
    };
    let code = file.code();
    let lines = |path| {
        mentions(&code, path)
            .into_iter()
            .map(|at| line_at(&code, at))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines("std::env"), [3, 4, 8], "{code}");
    assert_eq!(lines("process::Command"), [4]);
    assert_eq!(code.len(), text.len());
}
