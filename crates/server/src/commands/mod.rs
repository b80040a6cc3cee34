//! The command line.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;

/// A private Interact endpoint: browser sessions, and code that runs next to them.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or SIGINT
    Serve(Box<Settings>),
}

impl Cli {
    /// Runs the command to its end. Exit codes: 0 after an orderly stop, 78 for a setting or a part of the
    /// set-up that must be mended first (`EX_CONFIG`, `sysexits.h`), 1 for everything else.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(settings) => serve::run(&settings),
        }
    }
}
