//! The lines of the report. All functions are pure.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::config::ConfigError;
use crate::sandbox::{LayerState, Row};

/// The number of columns before the text of a finding: severity, spaces, name of the check, spaces.
const TEXT_COLUMN: usize = 21;

/// The severity of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Works as required.
    Ok,
    /// Works, with a limitation.
    Note,
    /// `hearth serve` does not start, or cannot provide what its settings require.
    Failure,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Failure => "FAIL",
        }
    }

    /// Returns the terminal code of the severity's color: green, yellow, red (ECMA-48).
    fn color(self) -> u8 {
        match self {
            Severity::Ok => 32,
            Severity::Note => 33,
            Severity::Failure => 31,
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The name of the check, at most 14 characters.
    pub check: &'static str,
    pub severity: Severity,
    /// One line. Quoted output of programs may contain any character.
    pub text: String,
    /// Fixes such as `run: make setup`, one per line.
    pub fixes: Vec<String>,
}

impl Finding {
    pub fn ok(check: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            check,
            severity: Severity::Ok,
            text: text.into(),
            fixes: Vec::new(),
        }
    }

    /// Converts a result of the sandbox self-test.
    pub fn of_layer(row: &Row) -> Finding {
        let severity = match row.state {
            LayerState::On => Severity::Ok,
            LayerState::Off => Severity::Note,
            LayerState::Failed => Severity::Failure,
        };
        let fixes = row.fix.iter().map(|&fix| fix.to_owned()).collect();
        Finding {
            check: row.name,
            severity,
            text: row.text.clone(),
            fixes,
        }
    }

    pub fn note(check: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Note,
            ..Finding::ok(check, text)
        }
    }

    pub fn failure(check: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Failure,
            ..Finding::ok(check, text)
        }
    }

    /// Converts the error of a setting.
    pub fn of_error(check: &'static str, error: &ConfigError) -> Finding {
        let fix = match &error.fix {
            Some(fix) => format!("fix: {fix}"),
            None => "run: hearth serve --help   (describes the values of all settings)".to_owned(),
        };
        Finding::failure(check, error.to_string()).fixed_by(fix)
    }

    pub fn fixed_by(mut self, fix: impl Into<String>) -> Finding {
        self.fixes.push(fix.into());
        self
    }

    /// Renders the finding as text: one line, and one more for each fix below the text.
    pub fn render(&self, colored: bool) -> String {
        let word = format!("{:<4}", self.severity.word());
        let word = if colored {
            format!("\x1b[{}m{word}\x1b[0m", self.severity.color())
        } else {
            word
        };
        let mut lines = format!("{word}  {:<14} {}\n", self.check, printable(&self.text));
        for fix in &self.fixes {
            let _ = writeln!(lines, "{:TEXT_COLUMN$}{}", "", printable(fix));
        }
        lines
    }

    pub fn to_json(&self) -> Value {
        json!({
            "check": self.check,
            "severity": self.severity.word().to_lowercase(),
            "text": self.text,
            "fixes": self.fixes,
        })
    }
}

/// Removes line ends and escape sequences from the output of programs, which goes to a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// Returns true if no check failed.
pub(super) fn is_healthy(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.severity != Severity::Failure)
}

/// Returns the last line of the report.
pub(super) fn summarise(findings: &[Finding]) -> String {
    let count = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let plural =
        |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let notes = match count(Severity::Note) {
        0 => String::new(),
        notes => format!(" ({})", plural(notes, "note")),
    };
    match count(Severity::Failure) {
        0 => format!("All checks passed{notes}."),
        failures => format!("{} failed{notes}.", plural(failures, "check")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixes_are_aligned_with_the_text() {
        let finding = Finding::failure("agent-browser", "is missing").fixed_by("run: make setup");
        let expected = "FAIL  agent-browser  is missing\n                     run: make setup\n";
        assert_eq!(finding.render(false), expected);
    }

    #[test]
    fn only_the_severity_is_colored() {
        assert_eq!(
            Finding::ok("bash", "5.2").render(true),
            "\x1b[32mok  \x1b[0m  bash           5.2\n"
        );
    }

    #[test]
    fn quoted_output_cannot_control_the_terminal() {
        let line = Finding::failure("node", "said \x1b[2Jtwo\nlines\n").render(false);
        assert_eq!(line, "FAIL  node           said  [2Jtwo lines\n");
    }

    #[test]
    fn notes_are_not_failures() {
        let mut findings = vec![Finding::ok("bash", ""), Finding::note("fonts", "")];
        assert!(is_healthy(&findings));
        assert_eq!(summarise(&findings), "All checks passed (1 note).");
        findings.push(Finding::failure("node", ""));
        assert!(!is_healthy(&findings));
        assert_eq!(summarise(&findings), "1 check failed (1 note).");
    }
}
