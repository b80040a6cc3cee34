//! The table of docs/conformance.md: a row a step, a column a client, a footnote for what needs a word.

use std::fmt::Write;

use super::walk::{Outcome, STEPS, Walk};

/// Markdown; the walks are complete and in the order of the columns.
pub fn render(walks: &[Walk]) -> String {
    let mut notes = Vec::new();
    let header: Vec<String> = walks.iter().map(|walk| format!("{} {}", walk.client.title(), walk.version)).collect();
    let mut table = format!("| step | {} |\n|---|{}\n", header.join(" | "), "---|".repeat(walks.len()));
    for (row, step) in STEPS.iter().enumerate() {
        let cells: Vec<String> = walks.iter().map(|walk| cell(&walk.steps[row].1, &mut notes)).collect();
        writeln!(table, "| {step} | {} |", cells.join(" | ")).unwrap();
    }
    for (index, note) in notes.iter().enumerate() {
        let lead = if index == 0 { "\n" } else { "" };
        writeln!(table, "{lead}{}. {note}.", index + 1).unwrap();
    }
    table
}

fn cell(outcome: &Outcome, notes: &mut Vec<String>) -> String {
    let (word, note) = match outcome {
        Outcome::Good(note) => ("ok", note),
        Outcome::NotOffered(note) => ("not offered", note),
        Outcome::Failed(note) => ("fails", note),
    };
    if note.is_empty() {
        return word.to_owned();
    }
    let index = notes.iter().position(|known| known == note).unwrap_or_else(|| {
        notes.push(note.clone());
        notes.len() - 1
    });
    format!("{word} ({})", index + 1)
}
