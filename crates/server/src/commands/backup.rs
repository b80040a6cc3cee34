//! `hearth backup` and `hearth restore`.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::report;
use crate::backup::{self, BackupError, Summary};
use crate::config::{ConfigError, DataDir};
use crate::lifecycle::{interrupted_restore, lock_data_dir};

#[derive(Debug, Args)]
pub(super) struct BackupOptions {
    /// File to write. It must not exist, and contains unencrypted logins
    file: PathBuf,

    #[command(flatten)]
    data_dir: DataDir,
}

#[derive(Debug, Args)]
pub(super) struct RestoreOptions {
    /// File that `hearth backup` wrote
    file: PathBuf,

    /// Replace the store and the profiles of a data directory that is not empty
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    data_dir: DataDir,
}

pub(super) fn backup(options: BackupOptions) -> ExitCode {
    run(back_up(options))
}

pub(super) fn restore(options: RestoreOptions) -> ExitCode {
    run(put_back(options))
}

/// Runs a command to its end.
fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start");
    let outcome = runtime.and_then(|runtime| {
        let outcome = runtime.block_on(command);
        // A disk that does not respond must not delay the exit.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| report(&error))
}

async fn back_up(options: BackupOptions) -> anyhow::Result<ExitCode> {
    let BackupOptions {
        file,
        data_dir: DataDir(data_dir),
    } = options;
    let dir = data_dir.display();
    if backup::is_interrupted(&data_dir) {
        return Err(interrupted_restore(&data_dir).into());
    }
    if !backup::has_data(&data_dir) {
        let error = ConfigError::new("HEARTH_DATA_DIR", format!("{dir} contains no data"));
        return Err(error
            .fixed_by("set HEARTH_DATA_DIR to the value that the server has")
            .into());
    }
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let stopped = tokio::select! {
        written = backup::create(&data_dir, &file) => {
            let what = describe(&written?);
            print(&format!("backup of {dir} written to {}: {what}", file.display()));
            return Ok(ExitCode::SUCCESS);
        }
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    backup::discard(&file);
    Ok(ExitCode::from(stopped))
}

async fn put_back(options: RestoreOptions) -> anyhow::Result<ExitCode> {
    let RestoreOptions {
        file,
        replace,
        data_dir: DataDir(data_dir),
    } = options;
    let from = File::open(&file).map_err(|source| BackupError::Files {
        action: "read",
        path: file.clone(),
        source,
    })?;
    let _lock = lock_data_dir(&data_dir)?;
    let restored = backup::restore(from, &file, &data_dir, replace).await?;
    print(&format!(
        "backup of {} restored into {}: {}",
        restored.created_at,
        data_dir.display(),
        describe(&restored)
    ));
    Ok(ExitCode::SUCCESS)
}

fn describe(summary: &Summary) -> String {
    let Summary {
        profiles, bytes, ..
    } = summary;
    let plural = if *profiles == 1 { "" } else { "s" };
    format!("the store and {profiles} profile{plural}, {bytes} bytes")
}

fn print(line: &str) {
    // A closed pipe is not an error.
    let _ = writeln!(std::io::stdout(), "{line}");
}
