//! Whether what is installed is what `runtime/pins` and `runtime/requirements.txt` name. Pure.

use super::finding::Finding;

const CHECK: &str = "pins";

/// The versions that were found; none for what could not say its own.
#[derive(Debug, Default)]
pub(super) struct Installed {
    pub playwright: Option<String>,
    pub agent_browser: Option<String>,
    pub acorn: Option<String>,
}

/// Compares with the two files. No finding without the files, as in an image that holds what was
/// installed alone, or when there is nothing to compare.
pub(super) fn judge_pins(
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
        .map(|(name, pin, found)| format!("{name} is {found} and not {pin}"))
        .collect();
    if others.is_empty() {
        let names: Vec<&str> = compared.iter().map(|(name, ..)| *name).collect();
        return Some(Finding::fine(
            CHECK,
            format!("{} are the pinned versions", names.join(", ")),
        ));
    }
    Some(Finding::failure(CHECK, others.join("; ")).mended_by(setup))
}

/// What stands behind `key` at the start of a line, to the next blank.
fn value_of(text: &str, key: &str) -> Option<String> {
    let rest = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(key))?;
    let value = rest.split_whitespace().next()?;
    Some(value.trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const PINS: &str = "# why\nAGENT_BROWSER_VERSION=0.41.2\nACORN_VERSION='8.19.0'\n";
    const REQUIREMENTS: &str = "playwright==1.65.2 \\\n    --hash=sha256:00\ngreenlet==3.5.6 \\\n";

    fn judge(acorn: &str) -> Option<Finding> {
        let installed = Installed {
            playwright: Some("1.65.2".to_owned()),
            agent_browser: Some("0.41.2".to_owned()),
            acorn: Some(acorn.to_owned()),
        };
        judge_pins(
            Some(PINS.to_owned()),
            Some(REQUIREMENTS.to_owned()),
            &installed,
            "run: make setup",
        )
    }

    #[test]
    fn pinned_versions_are_fine() {
        assert_eq!(judge("8.19.0").expect("a finding").verdict, Verdict::Fine);
    }

    #[test]
    fn another_version_fails_with_both_numbers() {
        let finding = judge("8.18.0").expect("a finding");
        assert_eq!(finding.verdict, Verdict::Failure);
        assert_eq!(finding.text, "acorn is 8.18.0 and not 8.19.0");
    }

    #[test]
    fn without_the_files_nothing_is_compared() {
        assert_eq!(
            judge_pins(None, Some(String::new()), &Installed::default(), ""),
            None
        );
    }
}
