//! Compares installed versions with `runtime/pins` and `runtime/requirements.txt`. All functions
//! are pure.

use super::finding::Finding;

const CHECK: &str = "pins";

/// The installed versions. A version is `None` if the program did not report it.
#[derive(Debug, Default)]
pub(super) struct Installed {
    pub playwright: Option<String>,
    pub agent_browser: Option<String>,
    pub acorn: Option<String>,
}

/// Compares installed versions with the two files. Returns nothing if the files do not exist, as in
/// the image, or if there is nothing to compare.
pub(super) fn evaluate_pins(
    pins: Option<String>,
    requirements: Option<String>,
    installed: &Installed,
    setup: &str,
) -> Option<Finding> {
    let (pins, requirements) = (pins?, requirements?);
    let rows = [
        (
            "playwright",
            value_of(&requirements, "playwright=="),
            &installed.playwright,
        ),
        (
            "agent-browser",
            value_of(&pins, "AGENT_BROWSER_VERSION="),
            &installed.agent_browser,
        ),
        ("acorn", value_of(&pins, "ACORN_VERSION="), &installed.acorn),
    ];
    let compared: Vec<_> = rows
        .iter()
        .filter_map(|(name, pin, found)| Some((*name, pin.as_deref()?, found.as_deref()?)))
        .collect();
    if compared.is_empty() {
        return None;
    }
    let others = compared.iter().filter(|(_, pin, found)| pin != found);
    let others: Vec<String> = others
        .map(|(name, pin, found)| format!("{name} is {found} instead of {pin}"))
        .collect();
    if others.is_empty() {
        let names: Vec<&str> = compared.iter().map(|(name, ..)| *name).collect();
        return Some(Finding::ok(
            CHECK,
            format!("{} are the pinned versions", names.join(", ")),
        ));
    }
    Some(Finding::failure(CHECK, others.join("; ")).fixed_by(setup))
}

/// Returns the word after `key` at the start of a line.
fn value_of(text: &str, key: &str) -> Option<String> {
    let rest = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(key))?;
    let value = rest.split_whitespace().next()?;
    Some(value.trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    const PINS: &str = "# why\nAGENT_BROWSER_VERSION=0.41.2\nACORN_VERSION='8.19.0'\n";
    const REQUIREMENTS: &str = "playwright==1.65.2 \\\n    --hash=sha256:00\ngreenlet==3.5.6 \\\n";

    fn evaluate(acorn: &str) -> Option<Finding> {
        let installed = Installed {
            playwright: Some("1.65.2".to_owned()),
            agent_browser: Some("0.41.2".to_owned()),
            acorn: Some(acorn.to_owned()),
        };
        evaluate_pins(
            Some(PINS.to_owned()),
            Some(REQUIREMENTS.to_owned()),
            &installed,
            "run: make setup",
        )
    }

    #[test]
    fn pinned_versions_are_ok() {
        assert_eq!(
            evaluate("8.19.0").expect("a finding").severity,
            Severity::Ok
        );
    }

    #[test]
    fn another_version_fails_with_both_numbers() {
        let finding = evaluate("8.18.0").expect("a finding");
        assert_eq!(finding.severity, Severity::Failure);
        assert_eq!(finding.text, "acorn is 8.18.0 instead of 8.19.0");
    }

    #[test]
    fn without_the_files_nothing_is_compared() {
        assert_eq!(
            evaluate_pins(None, Some(String::new()), &Installed::default(), ""),
            None
        );
    }
}
