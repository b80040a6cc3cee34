//! The command line.

mod backup;
mod client;
mod doctor;
mod exit;
mod generate;
mod nodes;
mod print;
mod reload;
mod serve;
mod settings;
mod store;

use std::process::ExitCode;

use clap::{CommandFactory, Error, FromArgMatches, Parser, Subcommand};

use self::exit::report;
use crate::config::{Config, ConfigError, ParseError, arguments, parse, parse_leniently};

/// A self-hosted server for Firecrawl's Interact API: isolated browser sessions that run code.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The errors of invalid settings, which `doctor` reports.
    #[arg(skip)]
    errors: Vec<ConfigError>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or SIGINT
    Serve(Box<Config>),
    /// Create a session on a running server, and print its id
    New(Box<client::NewOptions>),
    /// List your sessions
    Ls(Box<client::ListOptions>),
    /// Run code in a session, and exit with its exit code
    Exec(Box<client::ExecOptions>),
    /// List, read and write the files of a session
    #[command(subcommand)]
    Files(Box<client::FilesCommand>),
    /// Print the address of a session's live view
    Open(Box<client::OpenOptions>),
    /// End sessions
    Rm(Box<client::RemoveOptions>),
    /// Make the running server read its key files and its settings file again
    Reload(reload::Options),
    /// Check the environment and suggest fixes
    Doctor(Box<doctor::Options>),
    /// Write a backup of the store and the profiles, also while a server runs
    Backup(backup::BackupOptions),
    /// Restore a backup into the data directory, while no server runs
    Restore(backup::RestoreOptions),
    /// List the nodes of a cluster
    Nodes(nodes::NodesOptions),
    /// Tell a node of a cluster to create no more sessions, and to stop when its last one has ended
    Drain(nodes::DrainOptions),
    /// Repair the store of a cluster
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Print every setting as a Markdown table
    Settings,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page of hearth, or of one of its commands
    Man {
        /// A command, such as serve
        command: Option<String>,
    },
}

impl Cli {
    /// Reads the command line and the environment. If they are invalid, prints an error and returns
    /// an exit code: 78 for a setting, 2 for anything else.
    pub fn read() -> Result<Cli, ExitCode> {
        let arguments = arguments();
        let parsed = if arguments.get(1).is_some_and(|name| name == "doctor") {
            parse_leniently(Cli::command(), &arguments)
        } else {
            parse(Cli::command(), &arguments).map(|matches| (matches, Vec::new()))
        };
        let read = parsed.and_then(|(matches, errors)| {
            let cli = Cli::from_arg_matches(&matches)
                .map_err(|error| ParseError::Usage(Box::new(error)))?;
            Ok(Cli { errors, ..cli })
        });
        read.map_err(|error| match error {
            ParseError::Setting(error) => report(&error.into()),
            ParseError::Usage(error) => print_usage(&error),
        })
    }

    /// Runs the command and returns its exit code: 0 after a graceful shutdown, 78 if a setting or
    /// a part of the installation must be fixed first (`EX_CONFIG`, `sysexits.h`), and 1 for
    /// everything else.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(config) => serve::run(*config),
            Command::New(options) => client::create(&options),
            Command::Ls(options) => client::list(&options),
            Command::Exec(options) => client::exec(&options),
            Command::Files(command) => client::files(&command),
            Command::Open(options) => client::open(&options),
            Command::Rm(options) => client::remove(&options),
            Command::Reload(options) => reload::run(&options),
            Command::Doctor(options) => doctor::run(*options, self.errors),
            Command::Backup(options) => backup::backup(options),
            Command::Restore(options) => backup::restore(options),
            Command::Nodes(options) => nodes::list(&options),
            Command::Drain(options) => nodes::drain(&options),
            Command::Store(command) => store::run(command),
            Command::Settings => settings::run(),
            Command::Completions { shell } => generate::print_completions(Cli::command(), shell),
            Command::Man { command } => {
                generate::print_man_page(Cli::command(), command.as_deref())
            }
        }
    }
}

/// Prints help, the version or an error about the arguments.
fn print_usage(error: &Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
