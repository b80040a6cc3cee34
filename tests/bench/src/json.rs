//! The results as JSON, with keys that do not change between versions and units in their names.
//! This module performs no I/O.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::machine::Machine;
use crate::report::evaluated;
use crate::rows::{Group, ROWS, Row};
use crate::samples::{Samples, Summary};

/// The version of the format, which increases when a key is removed or changes its meaning.
const FORMAT: u64 = 1;

/// Renders the results of the measured rows.
pub fn write(
    groups: &[Group],
    samples: &Samples,
    machine: &Machine,
    command: &str,
    is_quick: bool,
) -> String {
    let facts = machine.facts.iter().map(|(name, fact)| {
        let name = name.to_lowercase().replace([' ', '-'], "_");
        (name, json!(fact))
    });
    let rows = ROWS
        .iter()
        .filter_map(|row| Some((row.key.to_owned(), measured(row, samples)?)));
    let all = evaluated(groups, samples);
    let met = all.iter().filter(|(_, found)| found.is_met).count();
    let results = json!({
        "format": FORMAT,
        "command": command,
        "is_quick": is_quick,
        "facts": facts.collect::<Map<_, _>>(),
        "targets_count": all.len(),
        "targets_met_count": met,
        "rows": rows.collect::<Map<_, _>>(),
    });
    serde_json::to_string_pretty(&results).expect("a value is JSON")
}

/// Renders one row; `None` if it was not measured.
fn measured(row: &Row, samples: &Samples) -> Option<Value> {
    let Summary {
        median,
        p95,
        p99,
        count,
    } = samples.summary(row.key)?;
    let mut object = json!({
        "group": row.group.name(),
        "label": row.label,
        "is_baseline": row.is_baseline,
        "samples_count": count,
    });
    let mut add = |name: &str, value: f64| {
        object[format!("{name}_{}", row.unit.suffix())] = json!(rounded(value));
    };
    for (name, value) in [("p50", median), ("p95", p95), ("p99", p99)] {
        add(name, value);
    }
    if let Some(found) = samples.evaluate(row) {
        add("target_p50", found.limit);
        if let Some(limit) = row.p95_limit {
            add("target_p95", limit);
        }
        object["is_target_met"] = json!(found.is_met);
    }
    Some(object)
}

/// Rounds to four decimals.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// Reads the summaries of rows from results in this format, except rows that this version does not
/// measure. A quick run measures less, so the results must be of the given kind.
pub fn read(text: &str, is_quick: bool) -> Result<BTreeMap<&'static str, Summary>, String> {
    let results: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if results["format"] != json!(FORMAT) {
        return Err(format!("the format is {}, not {FORMAT}", results["format"]));
    }
    if results["is_quick"] != json!(is_quick) {
        return Err("a quick run cannot be compared with a full one".to_owned());
    }
    let rows = results["rows"].as_object().ok_or("it has no rows")?;
    let known = rows
        .iter()
        .filter_map(|(key, value)| Some((Row::find(key)?, value)));
    let summaries = known.map(|(row, value)| {
        let number = |name: &str| {
            let key = format!("{name}_{}", row.unit.suffix());
            let number = value[&key].as_f64();
            number.ok_or_else(|| format!("{} has no {key}", row.key))
        };
        let count = value["samples_count"].as_u64();
        let summary = Summary {
            median: number("p50")?,
            p95: number("p95")?,
            p99: number("p99")?,
            count: count
                .and_then(|count| usize::try_from(count).ok())
                .ok_or_else(|| format!("{} has no samples_count", row.key))?,
        };
        Ok((row.key, summary))
    });
    summaries.collect()
}

/// Renders all samples of all rows.
pub fn write_samples(samples: &Samples) -> String {
    let rows = ROWS.iter().map(|row| (row.key, samples.of(row.key)));
    let measured: BTreeMap<_, _> = rows.filter(|(_, values)| !values.is_empty()).collect();
    json!(measured).to_string()
}

/// Adds the samples that [`write_samples`] has rendered.
pub fn add_samples(text: &str, samples: &mut Samples) -> Result<(), String> {
    let rows: BTreeMap<String, Vec<f64>> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    for (key, values) in rows {
        let row = Row::find(&key).ok_or_else(|| format!("no row is called {key}"))?;
        for value in values {
            samples.add_value(row.key, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_samples() -> Samples {
        let mut samples = Samples::default();
        for value in [9.0, 10.5, 50.25] {
            samples.add_value("result-node-warm", value);
        }
        samples.add_value("rate-1", 900.0);
        samples
    }

    #[test]
    fn names_of_values_contain_their_unit() {
        let machine = Machine {
            facts: vec![("load before the run", "0.1".to_owned())],
        };
        let text = write(
            &[Group::First],
            &some_samples(),
            &machine,
            "make bench",
            false,
        );
        let results: Value = serde_json::from_str(&text).expect("it is JSON");
        let row = &results["rows"]["result-node-warm"];
        assert_eq!(
            [&row["p50_ms"], &row["p99_ms"], &row["target_p95_ms"]],
            [&json!(10.5), &json!(50.25), &json!(40.0)]
        );
        assert_eq!(row["is_target_met"], json!(false));
        assert_eq!(results["rows"]["rate-1"]["p50_per_second"], json!(900.0));
        assert_eq!(results["facts"]["load_before_the_run"], json!("0.1"));
        assert_eq!(results["targets_met_count"], json!(0));
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let samples = some_samples();
        let machine = Machine { facts: Vec::new() };
        let text = write(&[Group::First], &samples, &machine, "make bench", false);
        let rows = read(&text, false).expect("it is valid");
        assert_eq!(rows.len(), 2);
        assert_eq!(
            Some(rows["result-node-warm"]),
            samples.summary("result-node-warm")
        );
        assert!(read("{}", false).is_err() && read(&text, true).is_err());
        let without = text.replace("p95_ms", "p95");
        assert_eq!(
            read(&without, false),
            Err("result-node-warm has no p95_ms".to_owned())
        );
    }

    #[test]
    fn samples_of_several_runs_are_added() {
        let text = write_samples(&some_samples());
        let mut all = Samples::default();
        for _ in 0..2 {
            add_samples(&text, &mut all).expect("it is valid");
        }
        let rate = all.summary("rate-1").expect("measured");
        assert_eq!((rate.median.to_string(), rate.count), ("900".to_owned(), 2));
        assert_eq!(all.of("result-node-warm").len(), 6);
        assert!(add_samples("{\"unknown\": [1]}", &mut all).is_err());
    }
}
