//! Settings of the workbench.

use clap::{Args, ValueEnum};

/// The readers of the executions of a session, with their code and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecutionHistory {
    Off,
    Team,
    Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Workbench")]
pub(crate) struct WorkbenchSettings {
    /// Readers of the last executions of a session in the workbench, with code and output: `team`
    /// (the keys of its team), `operator` (also the operator's key, which then sees the console and
    /// the requests of pages as well), or `off` (nobody). Executions are in memory until the
    /// session ends. Sessions with zero data retention have none
    #[arg(
        long,
        env = "HEARTH_EXECUTION_HISTORY",
        value_name = "READERS",
        default_value = "team",
        value_enum
    )]
    pub execution_history: ExecutionHistory,
}
