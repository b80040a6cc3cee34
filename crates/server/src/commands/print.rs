//! Output of the commands for people.

use std::io::Write;

/// Prints a text and a newline.
pub(super) fn print(text: &str) {
    // A closed pipe is not an error.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a warning to stderr.
pub(super) fn warn(text: &str) {
    // Writing fails if stderr is closed.
    let _ = writeln!(std::io::stderr(), "hearth: {text}");
}

/// Returns a table with titles and one line per row.
pub(super) fn table<const COLUMNS: usize>(
    titles: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let titles = titles.map(str::to_owned);
    let lines = || std::iter::once(&titles).chain(rows);
    let width = |column: usize| lines().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut text = String::new();
    for row in lines() {
        let cells = row.iter().zip(widths.iter().copied());
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}
