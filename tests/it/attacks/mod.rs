//! Attacks on the sandbox by a session's code and by pages in its browser. Each attack also runs at
//! `none`, where it must succeed. The results are the matrix in docs/SECURITY.md.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod attack;
mod browser;
mod files;
mod http;
pub mod level;
mod matrix;
mod network;
mod ordinary;
mod output;
mod resources;
mod row;
mod scenario;
mod script;
mod secrets;

use std::time::Duration;

use attack::Attack;
use hearth_test_support::netns;
use level::Level;
use row::{Row, assert_as_expected};
use scenario::Scenario;

const DEADLINE: Duration = Duration::from_secs(170);

/// Returns true if the test should continue, which it does only inside private namespaces. Only
/// root can create them.
async fn is_alone(test: &str) -> bool {
    if !netns::is_possible() {
        eprintln!("{test} is skipped: only root can create namespaces");
        return false;
    }
    netns::enter(&format!("attacks::{test}"), DEADLINE).await
}

/// Runs one group of attacks at one level and checks the results against the rows.
async fn try_attacks(test: &str, level: Level, attack: Attack, rows: &[Row]) {
    if !is_alone(test).await {
        return;
    }
    let scenario = Scenario::setup(level, matches!(attack, Attack::CompromisedBrowser)).await;
    let mut results = attack::run(attack, &scenario).await;
    scenario.record(&mut results);
    assert_eq!(
        scenario.leaks(),
        Vec::<String>::new(),
        "the server has logged secrets"
    );
    scenario.teardown().await;
    assert_as_expected(level, rows, &results);
}

macro_rules! attacks {
    ($($test:ident: $level:expr, $attack:expr, $rows:expr;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                try_attacks(stringify!($test), $level, $attack, $rows).await;
            }
        )*
    };
}

attacks! {
    at_none_secrets_are_reached: Level::None, Attack::Script(secrets::SCRIPT), secrets::ROWS;
    at_default_as_root_no_secret_is_reached: Level::Root, Attack::Script(secrets::SCRIPT), secrets::ROWS;
    at_default_as_a_plain_user_no_secret_is_reached: Level::Plain, Attack::Script(secrets::SCRIPT), secrets::ROWS;

    at_none_other_processes_are_reached: Level::None, Attack::Script(resources::PROCESSES), resources::PROCESS_ROWS;
    at_default_as_root_no_other_process_is_reached:
        Level::Root, Attack::Script(resources::PROCESSES), resources::PROCESS_ROWS;
    at_default_as_a_plain_user_no_other_process_is_reached:
        Level::Plain, Attack::Script(resources::PROCESSES), resources::PROCESS_ROWS;

    at_default_as_root_killing_every_process_spares_all_others: Level::Root, Attack::KillAll, resources::KILL_ROWS;
    at_default_as_a_plain_user_killing_every_process_spares_all_others:
        Level::Plain, Attack::KillAll, resources::KILL_ROWS;

    at_none_every_system_call_is_allowed:
        Level::None, Attack::Script(resources::SYSTEM_CALLS), resources::SYSTEM_CALL_ROWS;
    at_default_as_root_no_dangerous_system_call_is_allowed:
        Level::Root, Attack::Script(resources::SYSTEM_CALLS), resources::SYSTEM_CALL_ROWS;
    at_default_as_a_plain_user_no_dangerous_system_call_is_allowed:
        Level::Plain, Attack::Script(resources::SYSTEM_CALLS), resources::SYSTEM_CALL_ROWS;

    at_none_code_reaches_the_whole_network: Level::None, Attack::Script(network::SCRIPT), network::ROWS;
    at_default_as_root_code_reaches_only_the_proxy: Level::Root, Attack::Script(network::SCRIPT), network::ROWS;
    at_default_as_a_plain_user_code_reaches_only_the_proxy:
        Level::Plain, Attack::Script(network::SCRIPT), network::ROWS;

    at_none_foreign_files_can_be_changed: Level::None, Attack::Script(files::SCRIPT), files::ROWS;
    at_default_as_root_no_foreign_file_can_be_changed: Level::Root, Attack::Script(files::SCRIPT), files::ROWS;
    at_default_as_a_plain_user_only_metadata_of_foreign_files_can_be_changed:
        Level::Plain, Attack::Script(files::SCRIPT), files::ROWS;

    at_none_a_session_finds_traces_of_another: Level::None, Attack::Traces, files::LEFT_ROWS;
    at_default_as_root_a_session_finds_no_trace_of_another: Level::Root, Attack::Traces, files::LEFT_ROWS;
    at_default_as_a_plain_user_a_session_finds_no_trace_of_another: Level::Plain, Attack::Traces, files::LEFT_ROWS;

    at_none_the_server_follows_traps: Level::None, Attack::Traps, files::TRAP_ROWS;
    at_default_as_root_the_server_follows_no_trap: Level::Root, Attack::Traps, files::TRAP_ROWS;
    at_default_as_a_plain_user_the_server_follows_no_trap: Level::Plain, Attack::Traps, files::TRAP_ROWS;

    at_none_a_compromised_browser_reaches_everything: Level::None, Attack::CompromisedBrowser, browser::COMPROMISED_BROWSER_ROWS;
    at_default_as_root_a_compromised_browser_is_contained: Level::Root, Attack::CompromisedBrowser, browser::COMPROMISED_BROWSER_ROWS;
    at_default_as_a_plain_user_a_compromised_browser_is_contained:
        Level::Plain, Attack::CompromisedBrowser, browser::COMPROMISED_BROWSER_ROWS;

    at_none_pages_reach_the_machine: Level::None, Attack::Pages, browser::ROWS;
    at_default_as_root_pages_do_not_reach_the_machine: Level::Root, Attack::Pages, browser::ROWS;
    at_default_as_a_plain_user_pages_do_not_reach_the_machine: Level::Plain, Attack::Pages, browser::ROWS;
}

macro_rules! alone {
    ($($test:ident: $attack:expr, $level:expr;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                if is_alone(stringify!($test)).await {
                    $attack($level).await;
                }
            }
        )*
    };
}

alone! {
    at_none_every_run_ends_at_its_deadline: output::every_run_ends, Level::None;
    at_default_as_root_every_run_ends_at_its_deadline: output::every_run_ends, Level::Root;
    at_default_as_a_plain_user_every_run_ends_at_its_deadline: output::every_run_ends, Level::Plain;

    at_default_as_root_ordinary_code_works: ordinary::ordinary_code_works, Level::Root;
    at_default_as_a_plain_user_ordinary_code_works: ordinary::ordinary_code_works, Level::Plain;

    at_default_as_root_the_server_survives_hostile_requests: http::survive_hostile_requests, Level::Root;
    at_default_as_a_plain_user_the_server_survives_hostile_requests: http::survive_hostile_requests, Level::Plain;
}
