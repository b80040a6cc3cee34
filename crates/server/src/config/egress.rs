//! Settings of egress, which control the destinations that sessions can reach.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};
use hearth_egress::{AllowList, Mode, Policy, Upstream};

use super::country_proxies::CountryProxies;
use super::isolation::IsolationLevel;
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
    /// server) [default: filtered; open with HEARTH_ISOLATION=none]
    #[arg(long = "egress", env = "HEARTH_EGRESS", value_name = "MODE", value_parser = modes())]
    mode: Option<Mode>,

    /// Further destinations that sessions may reach, as a comma-separated list of host:port or
    /// network:port, such as localhost:3000, api.internal:443 or 10.0.0.0/8:*; * means every port.
    /// localhost, 127.0.0.1 and [::1] are equivalent, and :3000 is a shorthand for the three
    #[arg(long = "egress-allow", env = "HEARTH_EGRESS_ALLOW", value_name = "LIST",
          value_parser = parse_trimmed::<AllowList>)]
    pub allow: Option<AllowList>,

    /// Let HEARTH_EGRESS_ALLOW and HEARTH_EGRESS=open also cover the metadata services of
    /// clouds, which hand out the credentials of the machine
    #[arg(long = "egress-allow-metadata", env = "HEARTH_EGRESS_ALLOW_METADATA",
          value_name = "BOOLEAN", default_value = "false", action = ArgAction::Set)]
    allow_metadata: bool,

    /// HTTP proxy for all destinations that HEARTH_EGRESS_ALLOW does not name and that are not on
    /// this machine, such as http://user:password@proxy.example:3128. That proxy resolves hostnames
    /// and must block internal addresses
    #[arg(long = "egress-proxy", env = "HEARTH_EGRESS_PROXY", value_name = "URL",
          hide_env_values = true, value_parser = parse_trimmed::<Upstream>)]
    pub upstream: Option<Upstream>,

    /// HTTP proxies of countries for sessions with a location, as a comma-separated list of
    /// country=URL, such as de=http://proxy-de.example:3128,gb=http://proxy-gb.example:3128. A
    /// comma in a password is %2C. The proxy of the country replaces HEARTH_EGRESS_PROXY
    #[arg(long = "egress-proxies", env = "HEARTH_EGRESS_PROXIES", value_name = "LIST",
          hide_env_values = true, value_parser = parse_trimmed::<CountryProxies>)]
    country_proxies: Option<CountryProxies>,
}

impl EgressSettings {
    /// Returns the policy of every session's proxy.
    pub(super) fn policy(&self, isolation: IsolationLevel) -> Policy {
        Policy {
            mode: self.mode.unwrap_or(match isolation {
                // Code can bypass the proxy anyway.
                IsolationLevel::None => Mode::Open,
                IsolationLevel::Default => Mode::Filtered,
            }),
            allow: self.allow.clone().unwrap_or_default(),
            allow_metadata: self.allow_metadata,
            upstream: self.upstream.clone(),
        }
    }

    /// Returns the proxies of countries.
    pub fn country_proxies(&self) -> CountryProxies {
        self.country_proxies.clone().unwrap_or_default()
    }

    /// Returns whether no setting selects the mode.
    pub fn is_default_mode(&self) -> bool {
        self.mode.is_none()
    }
}

fn modes() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["filtered", "off", "open"])
        .map(|mode| mode.parse().unwrap_or(Mode::Filtered))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::super::settings::Config;
    use super::*;

    fn mode(arguments: &[&str]) -> Mode {
        let matches = Config::augment_args(Command::new("serve").no_binary_name(true))
            .try_get_matches_from(arguments)
            .expect("valid");
        let config = Config::from_arg_matches(&matches).expect("valid");
        config.egress_policy().mode
    }

    #[test]
    fn egress_is_filtered_by_default_unless_there_is_no_sandbox() {
        for (arguments, expected) in [
            (&[][..], Mode::Filtered),
            (&["--isolation=default"], Mode::Filtered),
            (&["--isolation=none"], Mode::Open),
            (&["--isolation=none", "--egress=filtered"], Mode::Filtered),
            (&["--isolation=none", "--egress=off"], Mode::Off),
            (&["--egress=open"], Mode::Open),
        ] {
            assert_eq!(mode(arguments), expected, "{arguments:?}");
        }
    }
}
