//! The report as Markdown, for the terminal and the document. This module performs no I/O.

use std::fmt::Write;

use crate::machine::Machine;
use crate::rows::{Group, ROWS, Row, Target};
use crate::samples::{Samples, Summary};

/// Renders the facts, the command, and a table for each group. Panics if a row was not measured.
pub fn write(groups: &[Group], samples: &Samples, machine: &Machine, command: &str) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, fact) in &machine.facts {
        line(&mut text, &format!("| {name} | {fact} |"));
    }
    line(&mut text, &format!("| command | `{command}` |"));
    line(&mut text, &format!("\n{}", targets(groups, samples)));
    for &group in groups {
        table(&mut text, group, samples);
    }
    text.trim_end().to_owned()
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

/// Returns the number of targets and the rows that miss theirs.
fn targets(groups: &[Group], samples: &Samples) -> String {
    let evaluated = ROWS.iter().filter(|row| groups.contains(&row.group));
    let evaluated: Vec<(&Row, bool)> = evaluated
        .filter_map(|row| Some((row, samples.evaluate(row)?.is_met)))
        .collect();
    let missed: Vec<&str> = evaluated
        .iter()
        .filter(|(_, is_met)| !is_met)
        .map(|(row, _)| row.label)
        .collect();
    let met = evaluated.len() - missed.len();
    match missed.as_slice() {
        [] => format!("Targets met: {met} of {}.", evaluated.len()),
        missed => format!(
            "Targets met: {met} of {}. Not met: {}.",
            evaluated.len(),
            missed.join("; ")
        ),
    }
}

fn table(text: &mut String, group: Group, samples: &Samples) {
    line(
        text,
        &format!("\n### {}\n\n{}", group.heading(), group.method()),
    );
    if group.warm_up_rounds() > 0 {
        line(
            text,
            &format!(
                "The first {} round(s) are not counted.",
                group.warm_up_rounds()
            ),
        );
    }
    line(
        text,
        &format!(
            "\n| {} | p50 | p95 | n | target | met |\n|---|--:|--:|--:|---|---|",
            group.unit()
        ),
    );
    for row in ROWS.iter().filter(|row| row.group == group) {
        let Summary { median, p95, count } = samples
            .summary(row.key)
            .unwrap_or_else(|| panic!("nothing was measured for {}", row.key));
        let label = if row.is_baseline {
            format!("*{}*", row.label)
        } else {
            row.label.to_owned()
        };
        let (target, met) = evaluation(row, samples);
        line(
            text,
            &format!(
                "| {label} | {} | {} | {count} | {target} | {met} |",
                shown(median),
                shown(p95)
            ),
        );
    }
}

fn evaluation(row: &Row, samples: &Samples) -> (String, &'static str) {
    let Some(evaluation) = samples.evaluate(row) else {
        return (String::new(), "");
    };
    let limit = shown(evaluation.limit);
    let target = match row.target {
        Some(Target::Above(other, extra)) => {
            let other = Row::find(other).map_or("", |other| other.label);
            format!("≤ {limit} (+{extra} on: {other})")
        }
        Some(Target::Times(other, factor)) => {
            let other = Row::find(other).map_or("", |other| other.label);
            format!("≤ {limit} ({factor} times: {other})")
        }
        _ => format!("≤ {limit}"),
    };
    (target, if evaluation.is_met { "yes" } else { "**no**" })
}

/// Formats a value with three significant digits.
fn shown(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_named_above_the_table() {
        let mut samples = Samples::default();
        for row in ROWS.iter().filter(|row| row.group == Group::Cdp) {
            samples.add_value(
                row.key,
                if row.key == "version-broker" {
                    1.25
                } else {
                    0.2
                },
            );
        }
        let machine = Machine {
            facts: vec![("machine", "a small one".to_owned())],
        };
        let report = write(&[Group::Cdp], &samples, &machine, "make bench");
        assert!(
            report
                .contains("Targets met: 1 of 2. Not met: `Browser.getVersion`, through `cdpUrl`."),
            "{report}"
        );
        assert!(
            report.contains("through `cdpUrl` | 1.25 | 1.25 | 1 | ≤ 0.50 (+0.3 on: same"),
            "{report}"
        );
        assert!(
            report.contains("| **no** |") && report.contains("| a small one |"),
            "{report}"
        );
    }
}
