//! The steps that a client took, and the Markdown table that documents them.

use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

const STEP_TIMEOUT: Duration = Duration::from_mins(1);

/// The outcome of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The step did what it should. Holds a note, which may be empty.
    Good(String),
    /// The client does not offer this step. Holds the reason.
    NotOffered(String),
    /// The step failed. Holds what happened instead.
    Failed(String),
}

impl Outcome {
    /// Runs a step in this process. The step fails if it panics or takes longer than a minute.
    pub async fn of(taking: impl Future<Output = Self>) -> Self {
        match AssertUnwindSafe(tokio::time::timeout(STEP_TIMEOUT, taking))
            .catch_unwind()
            .await
        {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Self::Failed(format!("timed out after {STEP_TIMEOUT:?}")),
            Err(panic) => Self::Failed(match panic.downcast_ref::<String>() {
                Some(message) => message.clone(),
                None => "an assertion failed; see the panic above".to_owned(),
            }),
        }
    }
}

/// All steps of one client.
#[derive(Debug)]
pub struct Report {
    /// The client's name in the table's header.
    pub title: String,
    /// The client's version.
    pub version: String,
    /// The steps in order.
    pub steps: Vec<(String, Outcome)>,
}

impl Report {
    /// Creates an empty report.
    pub fn new(title: &str, version: &str) -> Self {
        Self {
            title: title.to_owned(),
            version: version.to_owned(),
            steps: Vec::new(),
        }
    }

    fn header(&self) -> String {
        format!("{} {}", self.title, self.version)
            .trim_end()
            .to_owned()
    }

    fn failures(&self) -> impl Iterator<Item = String> {
        self.steps
            .iter()
            .filter_map(|(step, outcome)| match outcome {
                Outcome::Failed(note) => Some(format!("--- {}: {step}\n{note}", self.title)),
                _ => None,
            })
    }
}

/// Asserts that every client took exactly these steps and none failed; lists all that did.
#[track_caller]
pub fn assert_all_good(reports: &[Report], steps: &[&str]) {
    let failures: Vec<String> = reports.iter().flat_map(Report::failures).collect();
    assert!(
        failures.is_empty(),
        "{} steps failed\n{}",
        failures.len(),
        failures.join("\n")
    );
    for report in reports {
        let taken: Vec<&str> = report.steps.iter().map(|(step, _)| step.as_str()).collect();
        assert_eq!(taken, steps, "{}", report.title);
    }
}

/// Renders Markdown: one row per step, one column per client, and the notes as footnotes. All
/// reports must have the same steps.
pub fn table(reports: &[Report]) -> String {
    let mut notes = Vec::new();
    let header: Vec<String> = reports.iter().map(Report::header).collect();
    let mut table = format!(
        "| step | {} |\n|---|{}\n",
        header.join(" | "),
        "---|".repeat(reports.len())
    );
    for (row, (step, _)) in reports
        .first()
        .into_iter()
        .flat_map(|report| &report.steps)
        .enumerate()
    {
        let cells: Vec<String> = reports
            .iter()
            .map(|report| cell(&report.steps[row].1, &mut notes))
            .collect();
        writeln!(table, "| {step} | {} |", cells.join(" | "))
            .expect("writing to a string cannot fail");
    }
    for (index, note) in notes.iter().enumerate() {
        let lead = if index == 0 { "\n" } else { "" };
        writeln!(table, "{lead}{}. {note}.", index + 1).expect("writing to a string cannot fail");
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
    let index = notes
        .iter()
        .position(|known| known == note)
        .unwrap_or_else(|| {
            notes.push(note.clone());
            notes.len() - 1
        });
    format!("{word} ({})", index + 1)
}
