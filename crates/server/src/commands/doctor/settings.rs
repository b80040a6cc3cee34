//! Checks the settings that no other check covers.

use super::finding::Finding;
use super::subject::Subject;
use crate::config::{ConfigError, describe, unknown_variables};

const CHECK: &str = "settings";

/// The settings that other checks cover.
const CHECKED_ELSEWHERE: [&str; 4] = [
    "HEARTH_BROWSER",
    "HEARTH_DATA_DIR",
    "HEARTH_ISOLATION",
    "HEARTH_RUNTIME_DIR",
];

/// Reports each invalid setting and the unknown variables, or that all settings are valid.
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
        findings.push(Finding::ok(CHECK, "all are valid"));
    }
    findings
}

fn finding_of(error: &ConfigError) -> Finding {
    let (name, text) = (&error.variable, error.to_string());
    if name.ends_with("_FILE") {
        return Finding::failure(CHECK, text).fixed_by(format!(
            "run: ls -l \"${name}\"   (the file must exist and be readable by the server's user)"
        ));
    }
    Finding::failure(CHECK, text).fixed_by(format!(
        "run: unset {name}   (or remove its flag; hearth serve --help describes its values)"
    ))
}
