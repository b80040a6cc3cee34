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

/// Reports each invalid setting and the unknown ones, or that all settings are valid.
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
    let mut findings: Vec<Finding> = errors
        .into_iter()
        .map(|error| Finding::of_error(CHECK, error))
        .collect();
    findings.extend(unknown("variables", &unknown_variables()));
    let file = subject.config.env_file.iter();
    findings.extend(file.filter_map(|path| {
        let what = format!("settings in {}", path.display());
        unknown(&what, &subject.unknown_in_file)
    }));
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "all are valid"));
    }
    findings
}

/// Reports unknown names, each of which comes with the one that is probably meant.
fn unknown(what: &str, unknown: &[(String, Option<String>)]) -> Option<Finding> {
    let names: Vec<&str> = unknown.iter().map(|(name, _)| name.as_str()).collect();
    let note = format!("unknown {what} are ignored: {}", names.join(", "));
    let meant = unknown.iter().filter_map(|(name, meant)| {
        let meant = meant.as_ref()?;
        Some(format!("fix: did you mean {meant} instead of {name}?"))
    });
    let note = meant
        .fold(Finding::note(CHECK, note), Finding::fixed_by)
        .fixed_by("run: hearth serve --help   (lists all settings)");
    (!unknown.is_empty()).then_some(note)
}
