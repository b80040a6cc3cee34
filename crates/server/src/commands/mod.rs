//! The command line.

mod doctor;
mod serve;
mod settings;

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::config::{Settings, variable_that_is_no_text};

/// `EX_CONFIG` of `sysexits.h`.
const EXIT_CONFIG: u8 = 78;

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
    /// Look at everything that serving needs, and say what mends what is wrong
    Doctor(Box<doctor::Options>),
    /// Print every setting as a table in Markdown
    Settings,
}

impl Cli {
    /// Reads the command line, or says what is wrong with it and gives the exit code for that: 2
    /// for a word that is not understood, 78 for a setting.
    pub fn read() -> Result<Cli, ExitCode> {
        let error = match Cli::try_parse() {
            Ok(cli) => return Ok(cli),
            Err(error) => error,
        };
        if error.kind() == ErrorKind::InvalidUtf8
            && let Some(name) = variable_that_is_no_text()
        {
            let _ = writeln!(std::io::stderr(), "hearth: {name}: the value is not UTF-8");
            return Err(ExitCode::from(EXIT_CONFIG));
        }
        // Help and version come this way, too.
        let _ = error.print();
        Err(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)))
    }

    /// Runs the command to its end. Exit codes: 0 after an orderly stop, 78 for a setting or a part
    /// of the set-up that must be mended first (`EX_CONFIG`, `sysexits.h`), 1 for everything else.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(settings) => serve::run(&settings),
            Command::Doctor(options) => doctor::run(&options),
            Command::Settings => settings::run(),
        }
    }
}
