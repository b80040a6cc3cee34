//! `hearth reload`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::exit::EXIT_CONFIG;
use crate::config::DataDir;
use crate::lifecycle::{ReloadReport, request_reload};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    data_dir: DataDir,
}

/// Runs the command and returns its exit code: 0 if the server has reloaded, 78 if it has kept its
/// settings because of an invalid one, and 1 if no server could be asked.
pub(super) fn run(options: &Options) -> ExitCode {
    let DataDir(data_dir) = &options.data_dir;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start");
    let reported = runtime.and_then(|runtime| {
        let requested = runtime.block_on(request_reload(data_dir));
        requested.context("cannot reload")
    });
    // Writing fails if the stream is closed.
    let (written, code) = match reported {
        Ok(ReloadReport {
            is_reloaded: true,
            text,
        }) => (
            writeln!(std::io::stdout(), "settings reloaded\n{text}"),
            ExitCode::SUCCESS,
        ),
        Ok(ReloadReport { text, .. }) => (
            writeln!(
                std::io::stderr(),
                "hearth: the server kept its settings: {text}"
            ),
            ExitCode::from(EXIT_CONFIG),
        ),
        Err(error) => (
            writeln!(std::io::stderr(), "hearth: {error:#}"),
            ExitCode::FAILURE,
        ),
    };
    drop(written);
    code
}
