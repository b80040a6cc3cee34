//! Settings that no other check reports.

use super::finding::Finding;
use super::subject::Subject;
use crate::config::{ConfigError, describe, unknown_variables};

const CHECK: &str = "settings";

/// Settings that have checks of their own.
const CHECKED_ELSEWHERE: [&str; 4] = [
    "HEARTH_BROWSER",
    "HEARTH_DATA_DIR",
    "HEARTH_ISOLATION",
    "HEARTH_RUNTIME_DIR",
];

/// Reports each setting that cannot be used and the unknown variables, or that all is well.
pub(super) fn settings(subject: &Subject) -> Vec<Finding> {
    let described = describe();
    let position = |error: &&ConfigError| {
        described
            .iter()
            .position(|setting| setting.variable == error.variable)
    };
    let mut errors: Vec<&ConfigError> = subject
        .errors
        .iter()
        .filter(|error| !CHECKED_ELSEWHERE.contains(&error.variable.as_str()))
        .collect();
    errors.sort_by_key(position);
    let mut findings: Vec<Finding> = errors.into_iter().map(finding_of).collect();
    let unknown = unknown_variables();
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        findings.push(
            Finding::note(CHECK, format!("unknown variables are ignored: {names}"))
                .fixed_by("run: hearth serve --help   (lists all settings)"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "all can be used"));
    }
    findings
}

fn finding_of(error: &ConfigError) -> Finding {
    let (name, text) = (&error.variable, error.to_string());
    if name.ends_with("_FILE") {
        return Finding::failure(CHECK, text).fixed_by(format!(
            "run: ls -l \"${name}\"   (the file has to exist and to be readable by the server's user)"
        ));
    }
    Finding::failure(CHECK, text).fixed_by(format!(
        "run: unset {name}   (or leave out its flag; hearth serve --help describes its values)"
    ))
}
