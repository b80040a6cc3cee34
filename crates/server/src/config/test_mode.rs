//! The setting of the test mode.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::error::ConfigError;

const TEST_MODE: &str = "HEARTH_TEST_MODE";

/// A value of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Off,
    On,
    Remote,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Test mode")]
pub(crate) struct TestModeSettings {
    /// Lets clients request faults, such as crashes of browsers, and a fast clock: `on`, or
    /// `remote` to listen beyond loopback as well. For tests of clients, never for production
    #[arg(long, env = "HEARTH_TEST_MODE", value_name = "MODE", default_value = "off",
          default_missing_value = "on", num_args = 0..=1, require_equals = true, value_enum)]
    test_mode: Mode,
}

impl TestModeSettings {
    /// Returns true if the server is in test mode.
    pub fn is_on(&self) -> bool {
        self.test_mode != Mode::Off
    }

    /// Returns an error if the server must not be in test mode.
    pub fn check(&self, listen: SocketAddr, is_node: bool) -> Result<(), ConfigError> {
        if self.is_on() && is_node {
            let reason = "a node of a cluster cannot be in test mode";
            return Err(ConfigError::new(TEST_MODE, reason)
                .fixed_by(format!("remove {TEST_MODE}, or HEARTH_DATABASE_URL")));
        }
        if self.test_mode == Mode::On && !listen.ip().is_loopback() {
            let reason = format!("{listen} can be reached from other machines");
            return Err(ConfigError::new(TEST_MODE, reason).fixed_by(format!(
                "set {TEST_MODE}=remote to let them request faults, or HEARTH_LISTEN=127.0.0.1:{}",
                listen.port()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn with(arguments: &[&str]) -> TestModeSettings {
        let command = TestModeSettings::augment_args(Command::new("serve"));
        let matches = command.try_get_matches_from(arguments).expect("valid");
        TestModeSettings::from_arg_matches(&matches).expect("valid")
    }

    #[test]
    fn the_flag_alone_turns_it_on_for_loopback() {
        let [local, open] = ["127.0.0.1:1", "0.0.0.0:1"].map(|text| text.parse().expect("valid"));
        let off = with(&["serve"]);
        assert!(!off.is_on() && off.check(open, true).is_ok());
        let on = with(&["serve", "--test-mode"]);
        assert!(on.is_on() && on.check(local, false).is_ok());
        assert!(on.check(open, false).is_err() && on.check(local, true).is_err());
        let remote = with(&["serve", "--test-mode=remote"]);
        assert!(remote.check(open, false).is_ok() && remote.check(open, true).is_err());
    }
}
