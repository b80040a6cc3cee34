//! The options of every command that uses a running server.

use clap::Args;

use super::local_server::LocalServer;
use crate::outgoing::RemoteServer;

/// The server that a command uses.
#[derive(Clone, Args)]
#[command(next_help_heading = "Server")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct ServerOptions {
    /// Origin of the server, such as https://hearth.example [default: HEARTH_LISTEN on this
    /// machine, http://127.0.0.1:3010]
    #[arg(long, env = "HEARTH_URL", value_name = "URL", global = true)]
    pub url: Option<RemoteServer>,

    /// API key [default: for the server on this machine, the first one of HEARTH_API_KEYS or
    /// HEARTH_API_KEYS_FILE]
    #[arg(
        long,
        env = "HEARTH_API_KEY",
        value_name = "KEY",
        hide_env_values = true,
        global = true
    )]
    pub api_key: Option<String>,

    #[command(flatten)]
    pub local: LocalServer,
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerOptions { .. }")
    }
}
