//! The report about code that was killed.

use std::fmt::{self, Display, Formatter, Write};

use crate::execute::Language;

/// The maximum number of dialogs that are described.
const MAX_DIALOGS: usize = 3;

/// A dialog of a page that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDialog {
    /// `alert`, `confirm`, `prompt` or `beforeunload`.
    pub kind: String,
    /// The message of the page, or its beginning.
    pub message: String,
}

impl OpenDialog {
    /// Returns lines for the stderr of code that timed out while dialogs were open.
    pub fn describe_open(dialogs: &[OpenDialog]) -> String {
        let mut lines = String::new();
        for dialog in dialogs.iter().take(MAX_DIALOGS) {
            // Writing to a string cannot fail.
            let _ = writeln!(
                lines,
                "{dialog} is open and blocks its page until it is answered"
            );
        }
        lines
    }
}

impl Display for OpenDialog {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let OpenDialog { kind, message } = self;
        let article = if kind == "alert" { "An" } else { "A" };
        write!(formatter, "{article} {kind} dialog ({message:?})")
    }
}

/// The facts about code that was killed while its session continues. `Display` returns sentences
/// that follow the reason.
#[derive(Debug)]
pub struct KillReport<'a> {
    /// The language of the code, whose variables are lost.
    pub language: Language,
    /// The Playwright calls that had not ended, if any are known.
    pub pending_calls: Option<&'a str>,
    /// The dialogs that were open.
    pub dialogs: &'a [OpenDialog],
}

impl Display for KillReport<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.language {
            Language::Node => ". The variables of Node are lost; the browser is unchanged",
            Language::Python => ". The variables of Python are lost; the browser is unchanged",
            Language::Bash => ". The browser is unchanged",
        })?;
        if let Some(calls) = self.pending_calls {
            write!(formatter, ". Playwright was waiting for: {calls}")?;
        }
        for dialog in self.dialogs.iter().take(MAX_DIALOGS) {
            write!(formatter, ". {dialog} was open")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_reports_variables_calls_and_dialogs() {
        let dialog = OpenDialog {
            kind: "confirm".to_owned(),
            message: "Delete \"it\"?\nNow?".to_owned(),
        };
        let report = KillReport {
            language: Language::Node,
            pending_calls: Some("page.click of locator('#go')"),
            dialogs: &[dialog],
        };
        assert_eq!(
            report.to_string(),
            ". The variables of Node are lost; the browser is unchanged. Playwright was waiting for: page.click of locator('#go'). \
             A confirm dialog (\"Delete \\\"it\\\"?\\nNow?\") was open"
        );
    }

    #[test]
    fn bash_has_no_variables_to_lose() {
        let report = KillReport {
            language: Language::Bash,
            pending_calls: None,
            dialogs: &[],
        };
        assert_eq!(report.to_string(), ". The browser is unchanged");
    }
}
