//! The report as Markdown, for the terminal and the document. This module performs no I/O.

use std::fmt::Write;

use crate::machine::Machine;
use crate::rows::{Group, ROWS, Row, Target, Unit};
use crate::samples::{Evaluation, Samples, Summary};

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

/// Renders the list of missed targets, with the values that show how fast the machine was.
pub fn missed(groups: &[Group], samples: &Samples) -> String {
    let all = evaluated(groups, samples);
    let mut text = String::new();
    let missed: Vec<_> = all.iter().filter(|(_, found)| !found.is_met).collect();
    if missed.is_empty() {
        return format!("None of {}.", all.len());
    }
    line(&mut text, &format!("{} of {}:\n", missed.len(), all.len()));
    for (row, found) in missed {
        let summary = samples.summary(row.key).expect("it was evaluated");
        let mut excesses = Vec::new();
        if summary.median > found.limit {
            excesses.push(excess("p50", summary.median, found.limit, row.unit));
        }
        if let Some(limit) = row.p95_limit.filter(|limit| summary.p95 > *limit) {
            excesses.push(excess("p95", summary.p95, limit, row.unit));
        }
        line(
            &mut text,
            &format!(
                "- **{}** ({}): {}.",
                row.label,
                row.group.heading(),
                excesses.join(", and ")
            ),
        );
    }
    let speeds: Vec<String> = ["bare-bash", "health", "chromium-start", "launch-node"]
        .iter()
        .filter_map(|key| Some((Row::find(key)?, samples.summary(key)?)))
        .map(|(row, summary)| format!("{}: {} ms", row.label, shown(summary.median, row.unit)))
        .collect();
    if !speeds.is_empty() {
        line(
            &mut text,
            &format!(
                "\nTimes grow on a slow machine. In the same run (p50), {}.",
                speeds.join("; ")
            ),
        );
    }
    text.trim_end().to_owned()
}

fn excess(name: &str, value: f64, limit: f64, unit: Unit) -> String {
    let [shown_value, shown_limit] = [value, limit].map(|value| shown(value, unit));
    if limit > 0.0 {
        let (unit, times) = (unit.label(), value / limit);
        format!("{name} is {shown_value} {unit}, {times:.2} times the limit of {shown_limit}")
    } else {
        format!("{name} is {shown_value}, and the limit is {shown_limit}")
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

/// Lists the measured rows with a target.
pub fn evaluated(groups: &[Group], samples: &Samples) -> Vec<(&'static Row, Evaluation)> {
    ROWS.iter()
        .filter(|row| groups.contains(&row.group))
        .filter_map(|row| Some((row, samples.evaluate(row)?)))
        .collect()
}

/// Returns the number of targets and the rows that miss theirs.
fn targets(groups: &[Group], samples: &Samples) -> String {
    let all = evaluated(groups, samples);
    let missed: Vec<String> = all
        .iter()
        .filter(|(_, found)| !found.is_met)
        .map(|(row, _)| format!("{} ({})", row.label, row.group.heading()))
        .collect();
    let met = all.len() - missed.len();
    match missed.as_slice() {
        [] => format!("Targets met: {met} of {}.", all.len()),
        missed => format!(
            "Targets met: {met} of {}. Not met: {}.",
            all.len(),
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
            "\n| {} | p50 | p95 | p99 | n | target | met |\n|---|--:|--:|--:|--:|---|---|",
            unit(group).map_or("", Unit::label)
        ),
    );
    for row in ROWS.iter().filter(|row| row.group == group) {
        let Summary {
            median,
            p95,
            p99,
            count,
        } = samples
            .summary(row.key)
            .unwrap_or_else(|| panic!("nothing was measured for {}", row.key));
        let [median, p95, p99] = [median, p95, p99].map(|value| shown(value, row.unit));
        let label = labelled(row);
        let (target, met) = evaluation(row, samples);
        line(
            text,
            &format!("| {label} | {median} | {p95} | {p99} | {count} | {target} | {met} |"),
        );
    }
}

/// Returns the unit of a group's rows; `None` if they have different ones.
pub fn unit(group: Group) -> Option<Unit> {
    let mut units = ROWS
        .iter()
        .filter(|row| row.group == group)
        .map(|row| row.unit);
    let first = units.next()?;
    units.all(|unit| unit == first).then_some(first)
}

/// Returns the first cell of a row, in italics for a baseline, with the unit unless the table has
/// it.
pub fn labelled(row: &Row) -> String {
    let label = match unit(row.group) {
        Some(_) => row.label.to_owned(),
        None => format!("{}, {}", row.label, row.unit.label()),
    };
    if row.is_baseline {
        format!("*{label}*")
    } else {
        label
    }
}

fn evaluation(row: &Row, samples: &Samples) -> (String, &'static str) {
    let Some(evaluation) = samples.evaluate(row) else {
        return (String::new(), "");
    };
    let limit = shown(evaluation.limit, row.unit);
    let mut target = match row.target {
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
    if let Some(limit) = row.p95_limit {
        write!(target, ", p95 ≤ {}", shown(limit, row.unit))
            .expect("writing to a string cannot fail");
    }
    (target, if evaluation.is_met { "yes" } else { "**no**" })
}

/// Formats a value with three significant digits, and a count as a whole number.
pub fn shown(value: f64, unit: Unit) -> String {
    match value {
        value if unit == Unit::Count => format!("{value:.0}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_missed_target() -> Samples {
        let mut samples = Samples::default();
        for row in ROWS.iter().filter(|row| row.group == Group::Cdp) {
            let value = match row.key {
                "version-broker" => 1.25,
                _ => 0.2,
            };
            samples.add_value(row.key, value);
        }
        samples
    }

    #[test]
    fn a_missed_target_is_named_above_the_table() {
        let samples = one_missed_target();
        let machine = Machine {
            facts: vec![("machine", "a small one".to_owned())],
        };
        let report = write(&[Group::Cdp], &samples, &machine, "make bench");
        assert!(
            report.contains(
                "Targets met: 1 of 2. Not met: `Browser.getVersion`, through `cdpUrl` (CDP latency)."
            ),
            "{report}"
        );
        assert!(
            report.contains("through `cdpUrl` | 1.25 | 1.25 | 1.25 | 1 | ≤ 0.50 (+0.3 on: same"),
            "{report}"
        );
        assert!(
            report.contains("| **no** |") && report.contains("| a small one |"),
            "{report}"
        );
    }

    #[test]
    fn missed_targets_are_listed_with_their_excess() {
        let samples = one_missed_target();
        assert_eq!(
            missed(&[Group::Cdp], &samples),
            "1 of 2:\n\n- **`Browser.getVersion`, through `cdpUrl`** (CDP latency): \
             p50 is 1.25 ms, 2.50 times the limit of 0.50."
        );
    }

    #[test]
    fn nothing_is_listed_if_all_targets_are_met() {
        let mut samples = Samples::default();
        samples.add_count("left-processes", 0);
        samples.add_count("left-directories", 0);
        assert_eq!(missed(&[Group::Churn], &samples), "None of 2.");
        samples.add_count("left-directories", 3);
        samples.add_count("left-directories", 3);
        let list = missed(&[Group::Churn], &samples);
        assert!(list.contains(": p50 is 3, and the limit is 0."), "{list}");
    }
}
