//! How sessions are kept apart, and from the machine.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use clap::Args;
use hearth_confine::UserIds;

use super::{ConfigError, or_default};
use crate::sandbox::Level;

/// Ids that no system gives out by itself: systemd's tables leave 60706 to 61183 free
/// (`UIDS-GIDS.md` of systemd), below its own for services.
const DEFAULT_UIDS: &str = "60706-61183";

/// The machine's accounts.
const ACCOUNTS: &str = "/etc/passwd";

/// The settings as they come from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Isolation")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(super) struct IsolationSettings {
    /// How code is confined: `auto` (the best level that holds here; the server does not start
    /// without one), `default` (user ids per session as root, Landlock, seccomp, limits), `none`
    /// (not at all: for code that you trust)
    #[arg(
        long,
        env = "HEARTH_ISOLATION",
        value_name = "LEVEL",
        default_value = "auto"
    )]
    isolation: String,

    /// User ids for the server (the first) and its sessions (two each), when it is started as root;
    /// servers beside each other should have ranges of their own
    #[arg(long, env = "HEARTH_UIDS", value_name = "FIRST-LAST", default_value = DEFAULT_UIDS)]
    uids: String,

    /// With HEARTH_ISOLATION=none: whether to listen beyond loopback all the same, true or false
    #[arg(
        long,
        env = "HEARTH_LET_OTHER_MACHINES_RUN_UNCONFINED_CODE",
        value_name = "SWITCH",
        default_value = "false"
    )]
    let_other_machines_run_unconfined_code: String,
}

/// The level, if it may be had where the server listens.
pub(super) fn judge_isolation(
    settings: &IsolationSettings,
    listen: Option<&SocketAddr>,
) -> Result<Level, ConfigError> {
    let level = parse_level(or_default(&settings.isolation, "auto"))?;
    let switch = or_default(&settings.let_other_machines_run_unconfined_code, "false");
    let is_accepted = parse_switch("HEARTH_LET_OTHER_MACHINES_RUN_UNCONFINED_CODE", switch)?;
    // An address that is wrong is told by itself.
    listen.map_or(Ok(()), |&listen| {
        refuse_unconfined(listen, level, is_accepted)
    })?;
    Ok(level)
}

pub(super) fn judge_uids(settings: &IsolationSettings) -> Result<UserIds, ConfigError> {
    parse_uids(or_default(&settings.uids, DEFAULT_UIDS))
}

/// `auto` is the best level that is there, which is one: it never means none.
fn parse_level(text: &str) -> Result<Level, ConfigError> {
    match text {
        "auto" | "default" => Ok(Level::Default),
        "none" => Ok(Level::None),
        other => Err(ConfigError(format!(
            "HEARTH_ISOLATION: {other:?} is neither auto nor default nor none"
        ))),
    }
}

fn parse_uids(text: &str) -> Result<UserIds, ConfigError> {
    let ends = text
        .split_once('-')
        .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let ids = ends.and_then(|(first, last)| UserIds::new(first, last)).ok_or_else(|| {
        ConfigError(format!(
            "HEARTH_UIDS: {text:?} is no range of user ids without root and 65534 that holds three at the least, such as {DEFAULT_UIDS}"
        ))
    })?;
    // A machine without the file has no accounts.
    let accounts = std::fs::read_to_string(ACCOUNTS).unwrap_or_default();
    match ends.and_then(|(first, last)| find_account(&accounts, first..=last)) {
        Some(name) => Err(ConfigError(format!(
            "HEARTH_UIDS: {text} has the id of the account {name}: choose ids that nobody has, such as {DEFAULT_UIDS}"
        ))),
        None => Ok(ids),
    }
}

/// The first account with one of these ids (`passwd(5)`).
fn find_account(accounts: &str, ids: RangeInclusive<u32>) -> Option<&str> {
    let accounts = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut taken = accounts.filter(|fields| {
        fields
            .get(2)
            .and_then(|id| id.parse().ok())
            .is_some_and(|id| ids.contains(&id))
    });
    taken.next()?.first().copied()
}

fn parse_switch(name: &str, text: &str) -> Result<bool, ConfigError> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(ConfigError(format!(
            "{name}: {other:?} is neither true nor false"
        ))),
    }
}

/// Without layers whoever reaches the server may do what its user may; that is for this machine
/// alone.
fn refuse_unconfined(
    listen: SocketAddr,
    level: Level,
    is_accepted: bool,
) -> Result<(), ConfigError> {
    if level == Level::Default || listen.ip().is_loopback() || is_accepted {
        return Ok(());
    }
    Err(ConfigError(format!(
        "HEARTH_ISOLATION: with none, code may do whatever the server's user may, and {listen} can be reached from other machines: leave it at auto, listen on 127.0.0.1, or set HEARTH_LET_OTHER_MACHINES_RUN_UNCONFINED_CODE=true"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_never_means_none() {
        assert_eq!(parse_level("auto").expect("a level"), Level::Default);
        assert!(parse_level("strict").is_err());
    }

    #[test]
    fn unconfined_code_is_for_this_machine_unless_somebody_says_so_in_full() {
        let (here, everywhere) = (
            SocketAddr::from(([127, 0, 0, 1], 1)),
            SocketAddr::from(([0, 0, 0, 0], 1)),
        );
        assert!(refuse_unconfined(here, Level::None, false).is_ok());
        assert!(refuse_unconfined(everywhere, Level::Default, false).is_ok());
        assert!(refuse_unconfined(everywhere, Level::None, true).is_ok());
        assert!(refuse_unconfined(everywhere, Level::None, false).is_err());
    }

    #[test]
    fn ids_of_accounts_are_somebodys() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/:/x\nbroken";
        assert_eq!(find_account(accounts, 30..=40), Some("www-data"));
        assert_eq!(find_account(accounts, 34..=40), None);
    }

    #[test]
    fn ids_have_to_be_a_range() {
        assert!(parse_uids(DEFAULT_UIDS).is_ok());
        for text in ["", "1000", "2000-1000", "0-100", "a-b", "-5-10"] {
            assert!(parse_uids(text).is_err(), "{text}");
        }
    }
}
