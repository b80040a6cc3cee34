//! Settings of isolation, which control the sandbox of sessions and their user ids.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};
use hearth_sandbox::UserIds;

use super::error::ConfigError;

/// A range of ids that no system assigns automatically. systemd's tables leave 60706 to 61183 free
/// (`UIDS-GIDS.md` of systemd), just below the range for its dynamic services.
const DEFAULT_UIDS: &str = "60706-61183";

/// The file with the accounts of the machine (`passwd(5)`).
const ACCOUNTS: &str = "/etc/passwd";

/// The flag that allows remote clients to run unsandboxed code.
const ALLOW_REMOTE: &str = "HEARTH_DANGEROUSLY_ALLOW_REMOTE_UNSANDBOXED";

/// The name of [`ALLOW_REMOTE`] in version 0.1, which still works.
pub(super) const ALLOW_REMOTE_ALIAS: &str = "HEARTH_LET_OTHER_MACHINES_RUN_UNCONFINED_CODE";

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsolationLevel {
    /// No sandbox. Code has all rights of the server's user.
    None,
    /// Every protection that does not need namespaces: user ids if the process can switch them,
    /// Landlock, seccomp and limits.
    Default,
}

impl IsolationLevel {
    /// Returns the level's name in the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            IsolationLevel::None => "none",
            IsolationLevel::Default => "default",
        }
    }
}

impl fmt::Display for IsolationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Isolation")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct IsolationSettings {
    /// Isolation level: `default` (user ids per session when started as root, Landlock, seccomp,
    /// limits), `none` (no sandbox: for code that you trust), or `auto` (the strongest level that
    /// holds here, never `none`). The server does not start if the level does not hold
    #[arg(long = "isolation", env = "HEARTH_ISOLATION", value_name = "LEVEL",
          default_value = "auto", value_parser = levels())]
    pub level: IsolationLevel,

    /// Range of user ids for a server that is started as root: the first for the server, and two
    /// for each session. Servers on one machine need separate ranges
    #[arg(long, env = "HEARTH_UIDS", value_name = "FIRST-LAST", default_value = DEFAULT_UIDS,
          value_parser = parse_uids)]
    uids: Uids,

    /// Listen beyond loopback with HEARTH_ISOLATION=none
    #[arg(long, alias = "let-other-machines-run-unconfined-code", env = ALLOW_REMOTE,
          value_name = "BOOLEAN", default_value = "false", action = ArgAction::Set)]
    dangerously_allow_remote_unsandboxed: bool,
}

/// A range of user ids with a valid syntax. It may still contain accounts of the machine.
#[derive(Clone, Debug)]
struct Uids {
    range: RangeInclusive<u32>,
    ids: UserIds,
}

impl IsolationSettings {
    /// Returns an error if unsandboxed code could be run from other machines.
    pub(crate) fn check_listen(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        let is_safe = self.level == IsolationLevel::Default || listen.ip().is_loopback();
        if is_safe || self.dangerously_allow_remote_unsandboxed {
            return Ok(());
        }
        Err(ConfigError::new(
            "HEARTH_ISOLATION",
            format!(
                "level none gives code every right of the server's user, and {listen} can be reached from other machines"
            ),
        )
        .fixed_by(format!(
            "set HEARTH_ISOLATION=auto, HEARTH_LISTEN=127.0.0.1:{}, or {ALLOW_REMOTE}=true",
            listen.port()
        )))
    }

    /// Returns the user ids for the server and its sessions, or an error if an account has one of
    /// them.
    pub fn uids(&self) -> Result<UserIds, ConfigError> {
        // A machine without the file has no accounts.
        let accounts = std::fs::read_to_string(ACCOUNTS).unwrap_or_default();
        let Uids { range, ids } = &self.uids;
        match find_account(&accounts, range) {
            Some(name) => Err(ConfigError::new(
                "HEARTH_UIDS",
                format!(
                    "{}-{} includes the id of the account {name}",
                    range.start(),
                    range.end()
                ),
            )
            .fixed_by(format!(
                "set HEARTH_UIDS to unused ids, such as {DEFAULT_UIDS}"
            ))),
            None => Ok(*ids),
        }
    }
}

/// Returns a parser for levels. `auto` is the strongest level that exists, which is `default`.
fn levels() -> impl TypedValueParser<Value = IsolationLevel> {
    PossibleValuesParser::new(["auto", "default", "none"]).map(|level| match level.as_str() {
        "none" => IsolationLevel::None,
        _ => IsolationLevel::Default,
    })
}

fn parse_uids(text: &str) -> Result<Uids, String> {
    let ends = text
        .trim()
        .split_once('-')
        .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let uids = ends.and_then(|(first, last)| {
        let ids = UserIds::new(first, last)?;
        let range = first..=last;
        Some(Uids { range, ids })
    });
    uids.ok_or_else(|| {
        format!(
            "{text:?} is not a range of at least three user ids without 0 and 65534, such as {DEFAULT_UIDS}"
        )
    })
}

/// Returns the first account that has one of these ids. Accounts of the form `hearth-ID` are for
/// sessions: they give the ids names where the server cannot mount a file over `/etc/passwd`.
fn find_account<'a>(accounts: &'a str, ids: &RangeInclusive<u32>) -> Option<&'a str> {
    let accounts = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut taken = accounts.filter_map(|fields| {
        let (name, id) = (*fields.first()?, fields.get(2)?.parse().ok()?);
        let is_taken = ids.contains(&id) && name != format!("hearth-{id}");
        is_taken.then_some(name)
    });
    taken.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(level: IsolationLevel, allow_remote: bool) -> IsolationSettings {
        IsolationSettings {
            level,
            uids: parse_uids(DEFAULT_UIDS).expect("valid"),
            dangerously_allow_remote_unsandboxed: allow_remote,
        }
    }

    #[test]
    fn unsandboxed_code_is_for_loopback_unless_explicitly_allowed() {
        use IsolationLevel::{Default, None};
        let (here, everywhere) = (
            SocketAddr::from(([127, 0, 0, 1], 1)),
            SocketAddr::from(([0, 0, 0, 0], 1)),
        );
        assert!(settings(None, false).check_listen(here).is_ok());
        assert!(settings(Default, false).check_listen(everywhere).is_ok());
        assert!(settings(None, true).check_listen(everywhere).is_ok());
        assert!(settings(None, false).check_listen(everywhere).is_err());
    }

    #[test]
    fn ids_of_accounts_are_found() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/:/x\nbroken";
        assert_eq!(find_account(accounts, &(30..=40)), Some("www-data"));
        assert_eq!(find_account(accounts, &(34..=40)), None);
    }

    #[test]
    fn accounts_for_sessions_are_no_others() {
        let accounts = "hearth-35:x:35:35::/nonexistent:/bin/bash\nhearth-36:x:37:37::/:/x";
        assert_eq!(find_account(accounts, &(34..=36)), None);
        assert_eq!(find_account(accounts, &(34..=40)), Some("hearth-36"));
    }

    #[test]
    fn ids_have_to_be_a_range() {
        assert!(parse_uids(DEFAULT_UIDS).is_ok());
        for text in ["", "1000", "2000-1000", "0-100", "a-b", "-5-10"] {
            assert!(parse_uids(text).is_err(), "{text}");
        }
    }
}
