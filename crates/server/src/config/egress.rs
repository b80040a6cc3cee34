//! The way out of sessions.

use clap::Args;
use hearth_egress::{AllowList, Mode, Upstream};

use super::{ConfigError, bad};

/// The settings as they come from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The way out")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(super) struct EgressSettings {
    /// What sessions reach: filtered (public addresses, and what HEARTH_EGRESS_ALLOW opens), off
    /// (nothing), or open (everything but metadata services and this server)
    #[arg(
        long,
        env = "HEARTH_EGRESS",
        value_name = "MODE",
        default_value = "filtered"
    )]
    pub egress: String,

    /// What sessions reach besides, comma-separated host:port or network:port, such as
    /// 127.0.0.1:3000, [::1]:3000, api.internal:443 or 10.0.0.0/8:*; * is every port
    #[arg(long, env = "HEARTH_EGRESS_ALLOW", value_name = "LIST")]
    pub egress_allow: Option<String>,

    /// Whether HEARTH_EGRESS_ALLOW and HEARTH_EGRESS=open open metadata services of clouds, too:
    /// true or false. They hand out the machine's credentials
    #[arg(
        long,
        env = "HEARTH_EGRESS_ALLOW_METADATA",
        value_name = "BOOLEAN",
        default_value = "false"
    )]
    pub egress_allow_metadata: String,

    /// An HTTP proxy through which sessions reach what HEARTH_EGRESS_ALLOW does not name, such as
    /// http://user:password@proxy.example:3128; it finds the addresses of names then, and has to
    /// refuse what is inside
    #[arg(
        long,
        env = "HEARTH_EGRESS_PROXY",
        value_name = "URL",
        hide_env_values = true
    )]
    pub egress_proxy: Option<String>,
}

pub(super) fn parse_mode(text: &str) -> Result<Mode, ConfigError> {
    text.parse().map_err(|()| {
        ConfigError(format!(
            "HEARTH_EGRESS: {text:?} is neither filtered nor off nor open"
        ))
    })
}

pub(super) fn parse_allow(text: &str) -> Result<AllowList, ConfigError> {
    text.parse().map_err(bad("HEARTH_EGRESS_ALLOW"))
}

pub(super) fn parse_allow_metadata(text: &str) -> Result<bool, ConfigError> {
    let error = |_| {
        ConfigError(format!(
            "HEARTH_EGRESS_ALLOW_METADATA: {text:?} is neither true nor false"
        ))
    };
    text.parse().map_err(error)
}

pub(super) fn parse_upstream(text: &str) -> Result<Upstream, ConfigError> {
    text.parse().map_err(bad("HEARTH_EGRESS_PROXY"))
}
