//! `make bench`: measures the design's performance targets on a real server, next to baselines
//! without Hearth.
//!
//! Compared rows are measured in turns within one run, so that a temporary load on the machine
//! affects both. The bench does not fail because of a slow result: a row says
//! whether its target is met, and the run succeeds either way. Like every test, the bench must not
//! depend on the server's crates.

#![forbid(unsafe_code)]

mod baseline;
mod cdp;
mod chromium;
mod egress;
mod harness;
mod lasting;
mod live;
mod machine;
mod memory;
mod report;
mod rows;
mod runs;
mod samples;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use hearth_test_support::TestServer;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::harness::Harness;
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
}

impl Options {
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    fn groups(&self) -> Vec<Group> {
        let wanted = |group: &Group| self.only.is_empty() || self.only.contains(group);
        Group::ALL.iter().copied().filter(wanted).collect()
    }

    fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty()
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
    let machine = Machine::read();
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "16")
        .start()
        .await;
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
    let report = report::write(&options.groups(), &samples, &machine, &options.command());
    println!("{report}");
    if options.is_whole() {
        hearth_test_support::document::write_section(DOCUMENT, "results", &report);
        println!(
            "written to {}",
            hearth_test_support::repository()
                .join(Path::new(DOCUMENT))
                .display()
        );
    }
    ExitCode::SUCCESS
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
    let rounds = options.rounds();
    let groups = options.groups();
    let harness = Harness::setup(server).await;
    for group in &groups {
        eprintln!("bench: {}", group.name());
        match group {
            Group::Memory => memory::measure(&harness, &mut samples).await,
            Group::Starts => runs::starts(&harness, rounds, &mut samples).await,
            Group::Warm => runs::warm(&harness, rounds, &mut samples).await,
            Group::Kill => runs::after_a_kill(&harness, rounds, &mut samples).await,
            Group::Cdp => cdp::measure(&harness, rounds, &mut samples).await,
            Group::Egress => egress::measure(&harness, rounds, &mut samples).await,
            Group::Lasting => lasting::measure(&harness, rounds, &mut samples).await,
            Group::Live => live::measure(&harness, rounds, &mut samples).await,
        }
    }
    if groups.contains(&Group::Memory) {
        memory::measure_at_the_end(&harness, &mut samples).await;
    }
    samples
}
