//! What a check has found, and how it is told. Pure.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::sandbox::{Row, State};

/// Columns before the text of a finding: verdict, blanks, the name of the check, blanks.
const TEXT_COLUMN: usize = 21;

/// What comes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Fine,
    /// It works, and somebody may want to know.
    Note,
    /// `hearth serve` does not work like this, or not as its settings promise.
    Failure,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Fine => "ok",
            Verdict::Note => "note",
            Verdict::Failure => "FAIL",
        }
    }

    /// The terminal's code for its colour: green, yellow, red (ECMA-48).
    fn colour(self) -> u8 {
        match self {
            Verdict::Fine => 32,
            Verdict::Note => 33,
            Verdict::Failure => 31,
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at; fits into the column.
    pub check: &'static str,
    pub verdict: Verdict,
    /// One line; what it quotes may hold anything.
    pub text: String,
    /// What mends it, such as `run: make setup`; a line each.
    pub mends: Vec<String>,
}

impl Finding {
    pub fn fine(check: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            check,
            verdict: Verdict::Fine,
            text: text.into(),
            mends: Vec::new(),
        }
    }

    /// What was found out about a layer between sessions and the machine.
    pub fn of_layer(row: &Row) -> Finding {
        let verdict = match row.state {
            State::On => Verdict::Fine,
            State::Off => Verdict::Note,
            State::Failed => Verdict::Failure,
        };
        let mends = row.mend.iter().map(|&mend| mend.to_owned()).collect();
        Finding {
            check: row.name,
            verdict,
            text: row.text.clone(),
            mends,
        }
    }

    pub fn note(check: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Note,
            ..Finding::fine(check, text)
        }
    }

    pub fn failure(check: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Failure,
            ..Finding::fine(check, text)
        }
    }

    pub fn mended_by(mut self, mend: impl Into<String>) -> Finding {
        self.mends.push(mend.into());
        self
    }

    /// For a person: one line, and one more for each mend, below the text.
    pub fn render(&self, coloured: bool) -> String {
        let word = format!("{:<4}", self.verdict.word());
        let word = if coloured {
            format!("\x1b[{}m{word}\x1b[0m", self.verdict.colour())
        } else {
            word
        };
        let mut lines = format!("{word}  {:<14} {}\n", self.check, printable(&self.text));
        for mend in &self.mends {
            let _ = writeln!(lines, "{:TEXT_COLUMN$}{}", "", printable(mend));
        }
        lines
    }

    pub fn to_json(&self) -> Value {
        json!({
            "check": self.check,
            "verdict": self.verdict.word().to_lowercase(),
            "text": self.text,
            "mends": self.mends,
        })
    }
}

/// What programs say of themselves ends up in a terminal: no line ends and no escape sequences.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// Whether nothing fails.
pub(super) fn is_healthy(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Failure)
}

/// The last line of the report.
pub(super) fn summarise(findings: &[Finding]) -> String {
    let count = |verdict| {
        findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    };
    let plural =
        |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let notes = match count(Verdict::Note) {
        0 => String::new(),
        notes => format!(" ({})", plural(notes, "note")),
    };
    match count(Verdict::Failure) {
        0 => format!("Hearth can serve here{notes}."),
        failures => format!(
            "{} to mend before Hearth can serve as it is set{notes}.",
            plural(failures, "thing")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_mends_stand_below_each_other() {
        let finding = Finding::failure("agent-browser", "is missing").mended_by("run: make setup");
        let expected = "FAIL  agent-browser  is missing\n                     run: make setup\n";
        assert_eq!(finding.render(false), expected);
    }

    #[test]
    fn colour_is_around_the_verdict_alone() {
        assert_eq!(
            Finding::fine("bash", "5.2").render(true),
            "\x1b[32mok  \x1b[0m  bash           5.2\n"
        );
    }

    #[test]
    fn what_a_program_said_cannot_write_over_the_terminal() {
        let line = Finding::failure("node", "said \x1b[2Jtwo\nlines\n").render(false);
        assert_eq!(line, "FAIL  node           said  [2Jtwo lines\n");
    }

    #[test]
    fn notes_do_not_make_it_fail() {
        let mut findings = vec![Finding::fine("bash", ""), Finding::note("fonts", "")];
        assert!(is_healthy(&findings));
        assert_eq!(summarise(&findings), "Hearth can serve here (1 note).");
        findings.push(Finding::failure("node", ""));
        assert!(!is_healthy(&findings));
        assert_eq!(
            summarise(&findings),
            "1 thing to mend before Hearth can serve as it is set (1 note)."
        );
    }
}
