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
        match variables(self.language) {
            Some(variables) => write!(
                formatter,
                ". The {variables} are lost; the browser is unchanged"
            )?,
            None => formatter.write_str(". The browser is unchanged")?,
        }
        if let Some(calls) = self.pending_calls {
            write!(formatter, ". Playwright was waiting for: {calls}")?;
        }
        for dialog in self.dialogs.iter().take(MAX_DIALOGS) {
            write!(formatter, ". {dialog} was open")?;
        }
        Ok(())
    }
}

/// The report about a process that ended by itself, while its code ran. `Display` returns a line
/// for `stderr`.
#[derive(Debug)]
pub struct EndReport<'a> {
    /// The language of the code, whose variables are lost.
    pub language: Language,
    /// The cause of the end, such as `SIGKILL`.
    pub cause: &'a str,
}

impl Display for EndReport<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let EndReport { language, cause } = self;
        match variables(*language) {
            Some(variables) => writeln!(
                formatter,
                "{cause} ended the process: the {variables} are lost"
            ),
            None => writeln!(formatter, "{cause} ended the shell"),
        }
    }
}

/// Returns the state that is lost when the process of a language ends, if it had any.
const fn variables(language: Language) -> Option<&'static str> {
    match language {
        Language::Node => Some("variables of Node"),
        Language::Python => Some("variables of Python"),
        Language::Bash => None,
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
        let cause = "SIGKILL";
        let language = Language::Bash;
        assert_eq!(
            EndReport { language, cause }.to_string(),
            "SIGKILL ended the shell\n"
        );
        let language = Language::Node;
        assert_eq!(
            EndReport { language, cause }.to_string(),
            "SIGKILL ended the process: the variables of Node are lost\n"
        );
    }
}
