//! The attacks that the isolation levels are there for: what code of a session, and pages in its
//! browser, try to reach, and what becomes of it. Each is tried at `none` too, where it has to
//! work. docs/SECURITY.md has the matrix.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod browser;
mod files;
mod http;
mod level;
mod matrix;
mod network;
mod ordinary;
mod output;
mod play;
mod resources;
mod row;
mod script;
mod secrets;
mod stage;

use std::time::Duration;

use hearth_test_support::seclusion;
use level::Level;
use play::Play;
use row::{Row, assert_as_expected};
use stage::Stage;

const DEADLINE: Duration = Duration::from_secs(170);

/// Whether the test goes on: it does on a machine of its own, which only root may make.
async fn is_alone(test: &str) -> bool {
    if !seclusion::is_possible() {
        eprintln!("{test} is not run: it takes root to make a machine of its own");
        return false;
    }
    seclusion::enter(&format!("attacks::{test}"), DEADLINE).await
}

/// Tries the attacks of one group at one level and asserts what the rows say.
async fn attack(test: &str, level: Level, play: Play, rows: &[Row]) {
    if !is_alone(test).await {
        return;
    }
    let stage = Stage::set(level, matches!(play, Play::TakenOver)).await;
    let mut verdicts = play::out(play, &stage).await;
    stage.hear(&mut verdicts);
    assert_eq!(
        stage.leaks(),
        Vec::<String>::new(),
        "the server has logged secrets"
    );
    stage.strike().await;
    assert_as_expected(level, rows, &verdicts);
}

macro_rules! attacks {
    ($($test:ident: $level:expr, $play:expr, $rows:expr;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                attack(stringify!($test), $level, $play, $rows).await;
            }
        )*
    };
}

attacks! {
    at_none_secrets_are_reached: Level::None, Play::Script(secrets::SCRIPT), secrets::ROWS;
    at_default_as_root_no_secret_is_reached: Level::Root, Play::Script(secrets::SCRIPT), secrets::ROWS;
    at_default_as_a_plain_user_no_secret_is_reached: Level::Plain, Play::Script(secrets::SCRIPT), secrets::ROWS;

    at_none_other_processes_are_reached: Level::None, Play::Script(resources::PROCESSES), resources::PROCESS_ROWS;
    at_default_as_root_no_other_process_is_reached:
        Level::Root, Play::Script(resources::PROCESSES), resources::PROCESS_ROWS;
    at_default_as_a_plain_user_no_other_process_is_reached:
        Level::Plain, Play::Script(resources::PROCESSES), resources::PROCESS_ROWS;

    at_default_as_root_killing_everybody_kills_nobody_else: Level::Root, Play::KillEverybody, resources::KILL_ROWS;
    at_default_as_a_plain_user_killing_everybody_kills_nobody_else:
        Level::Plain, Play::KillEverybody, resources::KILL_ROWS;

    at_none_the_kernel_answers_everything:
        Level::None, Play::Script(resources::SYSTEM_CALLS), resources::SYSTEM_CALL_ROWS;
    at_default_as_root_the_kernel_answers_no_dangerous_call:
        Level::Root, Play::Script(resources::SYSTEM_CALLS), resources::SYSTEM_CALL_ROWS;
    at_default_as_a_plain_user_the_kernel_answers_no_dangerous_call:
        Level::Plain, Play::Script(resources::SYSTEM_CALLS), resources::SYSTEM_CALL_ROWS;

    at_none_code_reaches_all_of_the_network: Level::None, Play::Script(network::SCRIPT), network::ROWS;
    at_default_as_root_code_has_no_way_but_the_proxy: Level::Root, Play::Script(network::SCRIPT), network::ROWS;
    at_default_as_a_plain_user_code_has_no_way_but_the_proxy:
        Level::Plain, Play::Script(network::SCRIPT), network::ROWS;

    at_none_files_of_others_can_be_changed: Level::None, Play::Script(files::SCRIPT), files::ROWS;
    at_default_as_root_no_file_of_others_can_be_changed: Level::Root, Play::Script(files::SCRIPT), files::ROWS;
    at_default_as_a_plain_user_only_what_is_said_of_files_can_be_changed:
        Level::Plain, Play::Script(files::SCRIPT), files::ROWS;

    at_none_a_session_finds_what_another_has_left: Level::None, Play::Leftovers, files::LEFT_ROWS;
    at_default_as_root_a_session_finds_nothing_of_another: Level::Root, Play::Leftovers, files::LEFT_ROWS;
    at_default_as_a_plain_user_a_session_finds_nothing_of_another: Level::Plain, Play::Leftovers, files::LEFT_ROWS;

    at_none_the_server_steps_into_traps: Level::None, Play::Traps, files::TRAP_ROWS;
    at_default_as_root_the_server_steps_into_no_trap: Level::Root, Play::Traps, files::TRAP_ROWS;
    at_default_as_a_plain_user_the_server_steps_into_no_trap: Level::Plain, Play::Traps, files::TRAP_ROWS;

    at_none_a_browser_that_was_taken_over_reaches_everything: Level::None, Play::TakenOver, browser::TAKEN_OVER_ROWS;
    at_default_as_root_a_browser_that_was_taken_over_is_held: Level::Root, Play::TakenOver, browser::TAKEN_OVER_ROWS;
    at_default_as_a_plain_user_a_browser_that_was_taken_over_is_held:
        Level::Plain, Play::TakenOver, browser::TAKEN_OVER_ROWS;

    at_none_pages_reach_the_machine: Level::None, Play::Pages, browser::ROWS;
    at_default_as_root_pages_reach_nothing_of_the_machine: Level::Root, Play::Pages, browser::ROWS;
    at_default_as_a_plain_user_pages_reach_nothing_of_the_machine: Level::Plain, Play::Pages, browser::ROWS;
}

macro_rules! alone {
    ($($test:ident: $play:expr, $level:expr;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                if is_alone(stringify!($test)).await {
                    $play($level).await;
                }
            }
        )*
    };
}

alone! {
    at_none_every_run_ends_whatever_it_does: output::every_run_ends, Level::None;
    at_default_as_root_every_run_ends_whatever_it_does: output::every_run_ends, Level::Root;
    at_default_as_a_plain_user_every_run_ends_whatever_it_does: output::every_run_ends, Level::Plain;

    at_default_as_root_ordinary_code_works: ordinary::all_is_as_usual, Level::Root;
    at_default_as_a_plain_user_ordinary_code_works: ordinary::all_is_as_usual, Level::Plain;

    at_default_as_root_the_server_stands_whatever_it_is_sent: http::the_server_stands, Level::Root;
    at_default_as_a_plain_user_the_server_stands_whatever_it_is_sent: http::the_server_stands, Level::Plain;
}
