//! Settings of egress, which control the destinations that sessions can reach.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};
use hearth_egress::{AllowList, Mode, Policy, Upstream};

use super::text::parse_trimmed;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Egress")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct EgressSettings {
    /// Destinations that sessions may reach: filtered (public addresses and those of
    /// HEARTH_EGRESS_ALLOW), off (none), or open (all except cloud metadata services and this
    /// server)
    #[arg(long = "egress", env = "HEARTH_EGRESS", value_name = "MODE", default_value = "filtered",
          value_parser = modes())]
    pub mode: Mode,

    /// Further destinations that sessions may reach, as a comma-separated list of host:port or
    /// network:port, such as 127.0.0.1:3000, [::1]:3000, api.internal:443 or 10.0.0.0/8:*; * means
    /// every port
    #[arg(long = "egress-allow", env = "HEARTH_EGRESS_ALLOW", value_name = "LIST",
          value_parser = parse_trimmed::<AllowList>)]
    pub allow: Option<AllowList>,

    /// Let HEARTH_EGRESS_ALLOW and HEARTH_EGRESS=open also cover the metadata services of
    /// clouds, which hand out the credentials of the machine
    #[arg(long = "egress-allow-metadata", env = "HEARTH_EGRESS_ALLOW_METADATA",
          value_name = "BOOLEAN", default_value = "false", action = ArgAction::Set)]
    allow_metadata: bool,

    /// HTTP proxy for all destinations that HEARTH_EGRESS_ALLOW does not name, such as
    /// http://user:password@proxy.example:3128. That proxy resolves hostnames and must block
    /// internal addresses
    #[arg(long = "egress-proxy", env = "HEARTH_EGRESS_PROXY", value_name = "URL",
          hide_env_values = true, value_parser = parse_trimmed::<Upstream>)]
    pub upstream: Option<Upstream>,
}

impl EgressSettings {
    /// Returns the policy of every session's proxy.
    pub fn policy(&self) -> Policy {
        Policy {
            mode: self.mode,
            allow: self.allow.clone().unwrap_or_default(),
            allow_metadata: self.allow_metadata,
            upstream: self.upstream.clone(),
        }
    }
}

fn modes() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["filtered", "off", "open"])
        .map(|mode| mode.parse().unwrap_or(Mode::Filtered))
}
