//! The commands that use a running server, as any client does: `hearth new`, `hearth exec` and
//! others.

mod api;
mod code;
pub(super) mod error;
mod event_stream;
mod exec;
mod files;
mod output;
mod sessions;
mod terminal;

use std::process::ExitCode;

use anyhow::Context;

use self::api::Api;
pub(super) use self::exec::ExecOptions;
pub(super) use self::files::FilesCommand;
pub(super) use self::sessions::{ListOptions, NewOptions, OpenOptions, RemoveOptions};
use super::exit::{report, report_as};
use crate::config::ServerOptions;

/// The exit code of `hearth exec` if the code was not run to its end, because 1 can be that of the
/// code.
const NOT_RUN: u8 = 125;

pub(super) fn create(options: &NewOptions) -> ExitCode {
    run(&options.server, async |api| {
        sessions::create(api, options).await
    })
}

pub(super) fn list(options: &ListOptions) -> ExitCode {
    run(&options.server, async |api| {
        sessions::list(api, options).await
    })
}

pub(super) fn open(options: &OpenOptions) -> ExitCode {
    run(&options.server, async |api| {
        sessions::open(api, options).await
    })
}

pub(super) fn remove(options: &RemoveOptions) -> ExitCode {
    run(&options.server, async |api| {
        sessions::remove(api, options).await
    })
}

pub(super) fn files(command: &FilesCommand) -> ExitCode {
    run(command.server(), async |api| files::run(api, command).await)
}

/// Runs code. The exit code is that of the code, or 125 for an error of Hearth.
pub(super) fn exec(options: &ExecOptions) -> ExitCode {
    let outcome = block_on(&options.server, async |api| exec::exec(api, options).await);
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => report_as(&error, NOT_RUN),
    }
}

/// Runs a command to its end.
fn run(
    options: &ServerOptions,
    command: impl AsyncFnOnce(&Api) -> Result<(), error::ClientError>,
) -> ExitCode {
    block_on(options, command).map_or_else(|error| report(&error), |()| ExitCode::SUCCESS)
}

fn block_on<T>(
    options: &ServerOptions,
    command: impl AsyncFnOnce(&Api) -> Result<T, error::ClientError>,
) -> anyhow::Result<T> {
    let api = Api::new(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    Ok(runtime.block_on(command(&api))?)
}
