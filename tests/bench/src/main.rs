//! `make bench`: measures the design's performance targets on a real server, next to baselines
//! without Hearth.
//!
//! Compared rows are measured in turns within one run, so that a temporary load on the machine
//! affects both. The bench does not fail because of a slow result: a row says
//! whether its target is met, and the run succeeds either way. Like every test, the bench must not
//! depend on the server's crates.

#![forbid(unsafe_code)]

mod baseline;
mod bucket;
mod cdp;
mod chromium;
mod churn;
mod cluster;
mod compare;
mod egress;
mod first;
mod groups;
mod harness;
mod json;
mod lasting;
mod live;
mod machine;
mod memory;
mod rate;
mod report;
mod rows;
mod runs;
mod samples;
mod scrape;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use hearth_test_support::document::write_section;
use hearth_test_support::{TestServer, repository};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::compare::Base;
use crate::harness::{Extent, Harness, main_server};
use crate::machine::Machine;
use crate::rows::Group;
use crate::samples::Samples;

/// The document that a full run writes.
const DOCUMENT: &str = "docs/benchmarks.md";

/// Measures Hearth and prints the results; a full run also writes them to docs/benchmarks.md.
#[derive(Debug, Parser)]
#[command(name = "hearth-bench")]
struct Options {
    /// Rounds of measurements that take a second; quicker ones get proportionally more rounds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Run only these groups of rows, comma-separated; writes nothing
    #[arg(long, value_delimiter = ',')]
    only: Vec<Group>,
    /// Run one round of everything, to check that the bench works; writes nothing
    #[arg(long)]
    quick: bool,
    /// Write the results as JSON to this file, or to stdout instead of the report
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Compare with the results of an earlier run, a file that --json wrote; writes nothing
    #[arg(long, value_name = "FILE", conflicts_with = "base_binary")]
    base_file: Option<PathBuf>,
    /// Compare with this server, as scripts/bench-compare does
    #[arg(long, value_name = "PATH", requires = "base_runtime", hide = true)]
    base_binary: Option<PathBuf>,
    /// The runtime of that server
    #[arg(long, value_name = "PATH", hide = true)]
    base_runtime: Option<PathBuf>,
    /// The name of that server
    #[arg(
        long,
        value_name = "NAME",
        default_value = "another version",
        hide = true
    )]
    base_name: String,
    /// Print all samples as JSON, for a comparison; writes nothing
    #[arg(long, hide = true)]
    samples: bool,
}

impl Options {
    fn extent(&self) -> Extent {
        Extent {
            rounds: if self.quick { 1 } else { self.rounds as usize },
            is_quick: self.quick,
        }
    }

    /// Returns the version to compare with, and its name.
    fn base(&self) -> Option<(Base, String)> {
        if let Some(path) = &self.base_file {
            return Some((Base::File(path.clone()), path.display().to_string()));
        }
        let base = Base::Server {
            binary: self.base_binary.clone()?,
            runtime: self.base_runtime.clone()?,
        };
        Some((base, self.base_name.clone()))
    }

    fn groups(&self) -> Vec<Group> {
        let wanted = |group: &Group| self.only.is_empty() || self.only.contains(group);
        Group::ALL.iter().copied().filter(wanted).collect()
    }

    fn is_whole(&self) -> bool {
        !self.quick && !self.samples && self.only.is_empty()
    }

    /// Returns the command that repeats this run.
    fn command(&self) -> String {
        let mut arguments = Vec::new();
        if self.quick {
            arguments.push("--quick".to_owned());
        } else if self.rounds != 20 {
            arguments.push(format!("--rounds {}", self.rounds));
        }
        if !self.only.is_empty() {
            let names: Vec<&str> = self.only.iter().map(|group| group.name()).collect();
            arguments.push(format!("--only {}", names.join(",")));
        }
        match arguments.join(" ").as_str() {
            "" => "make bench".to_owned(),
            arguments => format!("make bench ARGS=\"{arguments}\""),
        }
    }
}

// One thread: a client with a thread pool would wake the second CPU, which the server needs.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    if let Some((base, name)) = options.base() {
        let comparison = compare::run(&base, &name, &options.groups(), options.extent()).await;
        return match comparison {
            Ok(tables) => {
                println!("{tables}");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        };
    }
    let machine = if options.samples {
        Machine { facts: Vec::new() }
    } else {
        Machine::read()
    };
    let server = main_server().start().await;
    // The server and the browsers are in their own process sessions, so a terminal's Ctrl-C does
    // not reach them.
    let samples = tokio::select! {
        samples = measure(&server, &options) => Some(samples),
        signal = stop_wanted() => {
            eprintln!("bench: stopped by {signal}");
            None
        }
    };
    server.stop().await;
    let Some(samples) = samples else {
        return ExitCode::FAILURE;
    };
    if options.samples {
        println!("{}", json::write_samples(&samples));
        return ExitCode::SUCCESS;
    }
    match write(&options, &samples, &machine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}

/// Prints the results, and writes them to the files that the options select.
fn write(options: &Options, samples: &Samples, machine: &Machine) -> Result<(), String> {
    let (groups, command) = (options.groups(), options.command());
    let report = report::write(&groups, samples, machine, &command);
    let is_for_stdout = options.json.as_deref() == Some(Path::new("-"));
    if let Some(path) = &options.json {
        let json = json::write(&groups, samples, machine, &command, options.quick);
        if is_for_stdout {
            println!("{json}");
        } else {
            std::fs::write(path, json + "\n")
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    if !is_for_stdout {
        println!("{report}");
    }
    if options.quick {
        eprintln!(
            "bench: a quick run only checks that the bench works; bursts and numbers of sessions are smaller than their rows say"
        );
    }
    if options.is_whole() {
        write_section(DOCUMENT, "results", &report);
        write_section(DOCUMENT, "missed", &report::missed(&groups, samples));
        eprintln!(
            "bench: written to {}",
            repository().join(DOCUMENT).display()
        );
    }
    Ok(())
}

async fn stop_wanted() -> Signal {
    let mut interrupt = signal(SignalKind::interrupt()).expect("signal handlers can be installed");
    let mut terminate = signal(SignalKind::terminate()).expect("signal handlers can be installed");
    tokio::select! {
        _ = interrupt.recv() => Signal::SIGINT,
        _ = terminate.recv() => Signal::SIGTERM,
    }
}

async fn measure(server: &TestServer, options: &Options) -> Samples {
    let mut samples = Samples::default();
    let (extent, groups) = (options.extent(), options.groups());
    let rounds = extent.rounds;
    let harness = Harness::setup(server).await;
    for group in &groups {
        let began = Instant::now();
        match group {
            Group::Memory => memory::measure(&harness, extent, &mut samples).await,
            Group::Server => server::measure(&harness, extent, &mut samples).await,
            Group::First => first::measure(&harness, extent, &mut samples).await,
            Group::Starts => runs::starts(&harness, extent, &mut samples).await,
            Group::Warm => runs::warm(&harness, extent, &mut samples).await,
            Group::Rate => rate::measure(&harness, extent, &mut samples).await,
            Group::Churn => churn::measure(&harness, extent, &mut samples).await,
            Group::Kill => runs::after_a_kill(&harness, rounds, &mut samples).await,
            Group::Cdp => cdp::measure(&harness, rounds, &mut samples).await,
            Group::Egress => egress::measure(&harness, rounds, &mut samples).await,
            Group::Lasting => lasting::measure(&harness, extent, &mut samples).await,
            Group::Live => live::measure(&harness, extent, &mut samples).await,
            Group::Scrape => scrape::measure(&harness, extent, &mut samples).await,
            Group::Cluster => cluster::measure(extent, &mut samples).await,
        }
        eprintln!("bench: {} took {:.1?}", group.name(), began.elapsed());
    }
    if groups.contains(&Group::Memory) {
        memory::measure_at_the_end(&harness, extent, &mut samples).await;
    }
    samples
}
