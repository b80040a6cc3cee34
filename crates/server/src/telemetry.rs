//! Logs, on stderr. What user code, pages, cookies and tokens say never reaches one above `trace`.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogSettings;

pub(crate) fn init(config: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .context("HEARTH_LOG")?;
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    // A reader of the log that has gone away, or a full disk, must not take the server with it.
    let builder = builder.log_internal_errors(false);
    let started = if config.is_json() {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
