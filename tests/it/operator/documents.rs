//! The operators' documents cover every setting, metric and event.

use std::collections::BTreeSet;
use std::process::Command;

use hearth_test_support::{TestServer, document, repository};

use crate::operator::metrics::metrics;

fn operations() -> String {
    std::fs::read_to_string(repository().join("docs/OPERATIONS.md"))
        .expect("docs/OPERATIONS.md exists")
}

/// Runs `hearth` with `arguments` and returns what it prints.
fn printed_by(arguments: &[&str]) -> String {
    let output = Command::new(hearth_test_support::binary())
        .args(arguments)
        .output()
        .expect("the program can be started");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_setting_is_documented() {
    let table = printed_by(&["settings"]);
    document::assert_section("docs/CONFIGURATION.md", "settings", &table);
}

#[test]
fn man_pages_and_completions_name_every_command_and_setting() {
    let page = printed_by(&["man"]);
    let completions = printed_by(&["completions", "bash"]);
    for command in [
        "serve",
        "new",
        "ls",
        "exec",
        "open",
        "rm",
        "doctor",
        "reload",
        "backup",
        "restore",
        "nodes",
        "drain",
        "store",
        "settings",
        "completions",
        "man",
    ] {
        assert!(page.contains(&format!("hearth\\-{command}(1)")), "{page}");
        assert!(completions.contains(command), "{completions}");
    }
    let serve = printed_by(&["man", "serve"]);
    let table = printed_by(&["settings"]);
    let flags = table
        .lines()
        .filter_map(|row| row.split("<br>`--").nth(1)?.split([' ', '`']).next());
    let flags: Vec<&str> = flags.collect();
    assert!(flags.len() > 20, "{table}");
    for flag in flags {
        assert!(completions.contains(&format!("--{flag}")), "{flag}");
        let escaped = flag.replace('-', "\\-");
        assert!(serve.contains(&format!("\\-\\-{escaped}")), "{flag}");
    }
}

#[tokio::test]
async fn exactly_the_existing_metrics_are_documented() {
    let server = TestServer::start().await;
    let seen = metrics(&server).await;
    server.stop().await;
    let ends = ["_bucket", "_count", "_sum"];
    let family = |name: &str| {
        let name = name.split('{').next().unwrap_or_default();
        ends.iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name)
            .to_owned()
    };
    let seen: BTreeSet<String> = seen.keys().map(|name| family(name)).collect();
    let rows = metric_rows();
    let names = rows.iter().filter_map(|row| row.split('`').nth(1));
    let mut documented: BTreeSet<String> = names.map(family).collect();
    // This metric appears with the first request.
    let later = "hearth_http_requests_total";
    assert!(documented.contains(later));
    if !seen.contains(later) {
        documented.remove(later);
    }
    assert_eq!(
        documented, seen,
        "docs/OPERATIONS.md (left), /metrics (right)"
    );
}

#[test]
fn the_dashboard_queries_only_existing_metrics() {
    let text = std::fs::read_to_string(repository().join("docs/grafana-dashboard.json"))
        .expect("the dashboard exists");
    let board: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(
        board["panels"]
            .as_array()
            .is_some_and(|panels| panels.len() >= 8)
    );
    assert_metrics_exist(&text);
}

#[test]
fn the_alert_rules_query_only_existing_metrics() {
    let text = rules();
    assert!(text.matches("- alert: ").count() >= 10, "{text}");
    assert_metrics_exist(&text);
}

#[test]
fn the_table_of_metrics_and_the_alert_rules_name_the_same_alerts() {
    let text = rules();
    let defined: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    let rows = metric_rows();
    let cells = rows.iter().filter_map(|row| {
        let cells = row.strip_suffix(" |")?;
        cells.rsplit(" |").next().map(str::trim)
    });
    let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
    let documented: BTreeSet<&str> = cells.iter().flat_map(|cell| alerts_in(cell)).collect();
    assert_eq!(
        documented, defined,
        "docs/OPERATIONS.md (left), docs/prometheus-alerts.yml (right)"
    );
    for cell in cells {
        assert!(cell.starts_with("`Hearth"), "{cell:?} names no alert");
    }
    let security = std::fs::read_to_string(repository().join("docs/SECURITY.md"))
        .expect("docs/SECURITY.md exists");
    let unknown: Vec<&str> = alerts_in(&security)
        .filter(|alert| !defined.contains(alert))
        .collect();
    assert!(unknown.is_empty(), "docs/SECURITY.md: {unknown:?}");
}

/// Returns the names of alerts in a text.
fn alerts_in(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.starts_with("Hearth") && !word.contains(' '))
}

fn rules() -> String {
    std::fs::read_to_string(repository().join("docs/prometheus-alerts.yml"))
        .expect("the rules exist")
}

/// Returns the rows of the table of metrics in docs/OPERATIONS.md.
fn metric_rows() -> Vec<String> {
    let page = operations();
    let section = page
        .split("## Metrics")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .expect("a section on metrics");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(str::to_owned).collect()
}

/// Asserts that every metric that `text` names is in docs/OPERATIONS.md.
fn assert_metrics_exist(text: &str) {
    let page = operations();
    let names = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    for name in names.filter(|word| word.starts_with("hearth_")) {
        let family = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(
            page.contains(&format!("`{family}")),
            "{name} is not in docs/OPERATIONS.md"
        );
    }
}

/// Reads the messages of all log calls at `info` and above from the source.
fn events() -> BTreeSet<String> {
    let mut events = BTreeSet::new();
    let mut dirs = vec![repository().join("crates")];
    while let Some(dir) = dirs.pop() {
        for path in std::fs::read_dir(dir)
            .expect("a dir")
            .flatten()
            .map(|entry| entry.path())
        {
            match path.extension() {
                None if path.is_dir() => dirs.push(path),
                Some(kind) if kind == "rs" => {
                    events.extend(events_in(&std::fs::read_to_string(path).expect("text")));
                }
                _ => {}
            }
        }
    }
    events
}

fn events_in(source: &str) -> Vec<String> {
    let calls = ["tracing::info!(", "tracing::warn!(", "tracing::error!("];
    let calls = calls.iter().flat_map(|call| source.split(call).skip(1));
    calls.filter_map(message_of).collect()
}

/// Returns the last string literal of a call, starting after its opening bracket.
fn message_of(call: &str) -> Option<String> {
    let (mut depth, mut last, mut current) = (1, None, None::<String>);
    for letter in call.chars() {
        match (letter, &mut current) {
            ('"', Some(text)) => last = Some(std::mem::take(text)),
            (letter, Some(text)) => text.push(letter),
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            _ => {}
        }
        if letter == '"' {
            current = if current.is_some() {
                None
            } else {
                Some(String::new())
            };
        }
        if depth == 0 {
            break;
        }
    }
    last
}

#[test]
fn exactly_the_existing_events_are_documented() {
    let page = operations();
    let table = page
        .split("## Log")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .expect("a section on the log");
    let (_, rows) = table
        .split_once("| level | event |")
        .expect("a table of events");
    let documented: BTreeSet<String> = rows
        .lines()
        .skip(2)
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        documented,
        events(),
        "docs/OPERATIONS.md (left), the source (right)"
    );
}
