//! What is in force, as a table for people. Pure.

use std::fmt::Write;

use super::Level;

/// What came of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It was tried, and holds.
    On,
    /// It is not there, and sessions are kept apart without it.
    Off,
    /// It is needed, and does not hold.
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::On => "on",
            State::Off => "off",
            State::Failed => "FAIL",
        }
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub state: State,
    pub name: &'static str,
    /// One line: what it means, or why it is not there.
    pub text: String,
    /// What would bring it.
    pub mend: Option<&'static str>,
}

/// What stands above the table.
pub(crate) fn headline(level: Level) -> String {
    let kernel =
        nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    format!(
        "isolation: {level} (Linux {}), tried out just now:",
        kernel.unwrap_or_default()
    )
}

/// The table, a line for every row and one for every mend.
pub(crate) fn render(head: &str, rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!("{head}\n");
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:4}  {:width$}  {}",
            row.state.word(),
            row.name,
            row.text
        );
        if let Some(mend) = row.mend {
            let _ = writeln!(text, "  {:4}  {:width$}  {mend}", "", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_a_line_and_what_mends_it_another() {
        let row = |state, name, mend| Row {
            state,
            name,
            text: "why".to_owned(),
            mend,
        };
        let rows = [
            row(State::On, "files", None),
            row(State::Off, "own ids", Some("start as root")),
        ];
        let expected =
            "head\n  on    files    why\n  off   own ids  why\n                 start as root\n";
        assert_eq!(render("head", &rows), expected);
    }
}
