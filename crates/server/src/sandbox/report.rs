//! The report of the startup self-test, as a text table. All functions are pure.

use std::fmt::Write;

use crate::config::IsolationLevel;

/// The result of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerState {
    /// The layer was tested and held.
    On,
    /// The layer is missing, and the level does not require it.
    Off,
    /// The level requires the layer, but the layer did not hold.
    Failed,
}

impl LayerState {
    fn word(self) -> &'static str {
        match self {
            LayerState::On => "on",
            LayerState::Off => "off",
            LayerState::Failed => "FAIL",
        }
    }
}

/// The row of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub state: LayerState,
    pub name: &'static str,
    /// One line: the effect of the layer, or the reason why it is missing.
    pub text: String,
    /// A step that turns the layer on.
    pub fix: Option<&'static str>,
}

/// Returns the line above the table.
pub(crate) fn headline(level: IsolationLevel) -> String {
    let kernel =
        nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    format!(
        "isolation: {level} (Linux {}), tested at startup:",
        kernel.unwrap_or_default()
    )
}

/// Returns the table, with one line per row and one per fix.
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
        if let Some(fix) = row.fix {
            let _ = writeln!(text, "  {:4}  {:width$}  {fix}", "", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_takes_one_line_and_its_fix_another() {
        let row = |state, name, fix| Row {
            state,
            name,
            text: "why".to_owned(),
            fix,
        };
        let rows = [
            row(LayerState::On, "files", None),
            row(LayerState::Off, "own ids", Some("start as root")),
        ];
        let expected =
            "head\n  on    files    why\n  off   own ids  why\n                 start as root\n";
        assert_eq!(render("head", &rows), expected);
    }
}
