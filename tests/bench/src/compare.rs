//! The comparison of this version with another one, side by side.
//!
//! Each side is measured by child processes of this program, in turns, so that a temporary load on
//! the machine affects both. Both use the measuring code and the baselines of this version.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::harness::Extent;
use crate::json;
use crate::report::{labelled, shown, unit};
use crate::rows::{Group, ROWS, Unit};
use crate::samples::{Samples, Summary};
use crate::stop_wanted;

/// The other version.
#[derive(Debug)]
pub enum Base {
    /// A server that is measured in turns with the one of this version.
    Server {
        /// Its executable.
        binary: PathBuf,
        /// Its runtime dir.
        runtime: PathBuf,
    },
    /// Results of an earlier run, in a file that `--json` wrote.
    File(PathBuf),
}

type Summaries = BTreeMap<&'static str, Summary>;

/// Measures both versions, and renders a table for each group.
pub async fn run(
    base: &Base,
    name: &str,
    groups: &[Group],
    extent: Extent,
) -> Result<String, String> {
    let (old, new) = match base {
        Base::File(path) => {
            let problem = |error: String| format!("cannot use {}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
            let old = json::read(&text, extent.is_quick).map_err(problem)?;
            let mut samples = Samples::default();
            for group in groups {
                measure(None, *group, extent, &mut samples).await?;
            }
            (old, summaries(&samples))
        }
        Base::Server { .. } => {
            let [mut old, mut new] = [Samples::default(), Samples::default()];
            let part = Extent {
                rounds: extent.rounds.div_ceil(2),
                ..extent
            };
            for group in groups {
                measure(Some(base), *group, part, &mut old).await?;
                measure(None, *group, part, &mut new).await?;
                if !extent.is_quick {
                    measure(None, *group, part, &mut new).await?;
                    measure(Some(base), *group, part, &mut old).await?;
                }
            }
            (summaries(&old), summaries(&new))
        }
    };
    let turns = match base {
        Base::Server { .. } => "Both were measured in turns.",
        Base::File(_) => "They were measured at different times, so compare the baselines as well.",
    };
    Ok(format!(
        "Base: {name}. {turns} A ratio is the new value divided by that of the base. Italic rows \
         are baselines without Hearth: their ratios show how much the machine itself changed.\n{}",
        tables(groups, &old, &new)
    ))
}

fn summaries(samples: &Samples) -> Summaries {
    ROWS.iter()
        .filter_map(|row| Some((row.key, samples.summary(row.key)?)))
        .collect()
}

/// Measures one group in a child process.
async fn measure(
    base: Option<&Base>,
    group: Group,
    extent: Extent,
    samples: &mut Samples,
) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--samples", "--only", group.name()]);
    if extent.is_quick {
        command.arg("--quick");
    } else {
        command.args(["--rounds", &extent.rounds.to_string()]);
    }
    let side = if let Some(Base::Server { binary, runtime }) = base {
        command
            .env("HEARTH_TEST_BINARY", binary)
            .env("HEARTH_TEST_RUNTIME", runtime);
        "base"
    } else {
        "new"
    };
    eprintln!("bench: {} of {side}", group.name());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.spawn().map_err(|error| error.to_string())?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let mut ending = pin!(child.wait_with_output());
    let output = tokio::select! {
        output = &mut ending => output.map_err(|error| error.to_string())?,
        signal = stop_wanted() => {
            // Only a terminal sends the signal to both.
            let _ = kill(Pid::from_raw(pid.expect("it was just started")), Signal::SIGTERM);
            drop(ending.await);
            return Err(format!("stopped by {signal}"));
        }
    };
    if !output.status.success() {
        return Err(format!("{} of {side}: {}", group.name(), output.status));
    }
    json::add_samples(&String::from_utf8_lossy(&output.stdout), samples)
}

/// Renders the tables, without rows that neither side has.
fn tables(groups: &[Group], old: &Summaries, new: &Summaries) -> String {
    let mut text = String::new();
    for &group in groups {
        let mut rows = String::new();
        for row in ROWS.iter().filter(|row| row.group == group) {
            let (old, new) = (old.get(row.key), new.get(row.key));
            if old.is_none() && new.is_none() {
                continue;
            }
            let median = cells(old, new, row.unit, |summary| summary.median);
            let p95 = cells(old, new, row.unit, |summary| summary.p95);
            writeln!(rows, "| {} | {median} | {p95} |", labelled(row))
                .expect("writing to a string cannot fail");
        }
        let unit = unit(group).map_or("", Unit::label);
        write!(
            text,
            "\n### {}\n\n| {unit} | base p50 | new p50 | ratio | base p95 | new p95 | ratio |\n\
             |---|--:|--:|--:|--:|--:|--:|\n{rows}",
            group.heading()
        )
        .expect("writing to a string cannot fail");
    }
    text.trim_end().to_owned()
}

/// Renders a value of both sides and their ratio, as three cells.
fn cells(
    old: Option<&Summary>,
    new: Option<&Summary>,
    unit: Unit,
    value: impl Fn(&Summary) -> f64,
) -> String {
    let (old, new) = (old.map(&value), new.map(&value));
    let cell = |value: Option<f64>| value.map_or("–".to_owned(), |value| shown(value, unit));
    let ratio = match (old, new) {
        (Some(old), Some(new)) if old > 0.0 => format!("{:.2}", new / old),
        _ => "–".to_owned(),
    };
    format!("{} | {} | {ratio}", cell(old), cell(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_side_by_side_with_their_ratio() {
        let (mut old, mut new) = (Samples::default(), Samples::default());
        old.add_value("kill-node", 800.0);
        new.add_value("kill-node", 200.0);
        new.add_value("kill-python", 300.0);
        let text = tables(&[Group::Kill], &summaries(&old), &summaries(&new));
        for line in [
            "| node `1 + 1` | 800 | 200 | 0.25 | 800 | 200 | 0.25 |",
            "| python `1 + 1` | – | 300 | – | – | 300 | – |",
            "| ms | base p50 | new p50 | ratio | base p95 | new p95 | ratio |",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
