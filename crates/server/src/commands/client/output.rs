//! Output of code.

use std::io::{self, Write};

use serde_json::Value;

use super::terminal::harmless;

/// The bytes of each stream that are remembered. Texts that differ only after them count as
/// different.
const MAX_REMEMBERED: usize = 64 << 20;

/// Prints the output of one execution, in parts.
#[derive(Debug, Default)]
pub(super) struct Printer {
    /// Printed to stdout.
    stdout: String,
    /// Printed to stderr.
    stderr: String,
    /// True if the value of the last expression is printed.
    has_value: bool,
}

impl Printer {
    /// Prints a part of stdout.
    pub fn stdout(&mut self, text: &str) -> io::Result<()> {
        remember(&mut self.stdout, text);
        write(io::stdout().lock(), text)
    }

    /// Prints a part of stderr.
    pub fn stderr(&mut self, text: &str) -> io::Result<()> {
        remember(&mut self.stderr, text);
        write(io::stderr().lock(), text)
    }

    /// Prints the value of the last expression.
    pub fn value(&mut self, value: &str) -> io::Result<()> {
        self.has_value = true;
        let gap = newline_after(&self.stdout);
        write(io::stdout().lock(), &format!("{gap}{value}\n"))
    }

    /// Prints the rest of a response: the value of the last expression and the error, if the output
    /// does not show them already.
    pub fn end(&mut self, answer: &Value) -> io::Result<()> {
        let text = |key: &str| answer[key].as_str().unwrap_or_default();
        if !self.has_value && is_value(&self.stdout, text("result")) {
            self.value(text("result"))?;
        }
        let error = text("error");
        if !error.is_empty() && !self.stderr.contains(error) {
            // The output of the code may have no newline.
            let gap = newline_after(&self.stderr);
            writeln!(io::stderr().lock(), "{gap}hearth: {}", harmless(error))?;
        }
        if answer["truncated"] == true {
            let line = "hearth: the middle of the output is missing (HEARTH_MAX_OUTPUT_BYTES)";
            writeln!(io::stderr().lock(), "{line}")?;
        }
        Ok(())
    }
}

/// Returns true if the result is the value of the last expression. Without a value it is stdout.
fn is_value(stdout: &str, result: &str) -> bool {
    !result.is_empty() && result != stdout.strip_suffix('\n').unwrap_or(stdout)
}

fn newline_after(text: &str) -> &'static str {
    if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    }
}

fn remember(seen: &mut String, text: &str) {
    if seen.len() + text.len() <= MAX_REMEMBERED {
        seen.push_str(text);
    }
}

fn write(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_stdout_is_not_a_value() {
        for (stdout, result) in [("", ""), ("a\n", "a"), ("a", "a"), ("a\n\n", "a\n")] {
            assert!(!is_value(stdout, result), "{stdout:?}");
        }
        for (stdout, result) in [("", "5"), ("a\n", "5"), ("a", "b")] {
            assert!(is_value(stdout, result), "{stdout:?}");
        }
    }

    #[test]
    fn a_value_begins_on_its_own_line() {
        assert_eq!(["", "a\n", "a"].map(newline_after), ["", "", "\n"]);
    }
}
