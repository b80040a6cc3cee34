//! The log, on stderr. User code, page content, cookies and tokens appear only at level `trace`.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogSettings;

pub(crate) fn init(config: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .context("HEARTH_LOG")?;
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    // A closed pipe or a full disk must not end the server.
    let builder = builder.log_internal_errors(false);
    let started = if config.is_json() {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
