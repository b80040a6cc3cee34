//! Output that contains texts of a server, which must not control the terminal.

use crate::commands::print;

/// Prints a text and a newline.
pub(super) fn print(text: &str) {
    print::print(&harmless(text));
}

/// Prints a warning to stderr.
pub(super) fn warn(text: &str) {
    print::warn(&harmless(text));
}

/// Replaces control characters other than newlines, and those that change the direction of text.
pub(super) fn harmless(text: &str) -> String {
    let is_unsafe = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(is_unsafe, "\u{fffd}")
}

/// Returns one line of the text, so that it does not look like several of this program.
pub(super) fn harmless_line(text: &str) -> String {
    harmless(text.trim_end()).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_server_does_not_control_the_terminal() {
        assert_eq!(
            harmless("a\u{1b}[2J\nb\r\u{9b}1m\u{202e}c"),
            "a\u{fffd}[2J\nb\u{fffd}\u{fffd}1m\u{fffd}c"
        );
        assert_eq!(harmless_line("no\n  fix: run this\n"), "no   fix: run this");
    }
}
