//! The attacks that the isolation levels are there for: what code of a session, and pages in its browser, try to reach, and
//! what becomes of it. Each is tried at `none` too, where it has to work. docs/SECURITY.md has the matrix.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod b_browser;
mod f_files;
mod level;
mod n_network;
mod r_resources;
mod row;
mod s_secrets;
mod script;
mod stage;

use std::time::Duration;

use hearth_tests::seclusion;
use level::Level;
use row::{Row, Verdicts, assert_as_expected};
use stage::Stage;

const DEADLINE: Duration = Duration::from_secs(170);

/// Runs a script in each of `languages`; an attack that works in one has worked.
async fn try_all(stage: &Stage, script: &str, languages: &[&str]) -> Verdicts {
    let parameters = stage.parameters();
    let mut verdicts = Verdicts::new();
    for language in languages {
        let found = script::run(&stage.own, language, script, &parameters).await;
        for (name, verdict) in found {
            let known = verdicts.entry(name).or_insert_with(|| verdict.clone());
            if known.starts_with("blocked") {
                *known = if verdict.starts_with("reached") { format!("{verdict} (in {language})") } else { verdict };
            }
        }
    }
    stage.hear(&mut verdicts);
    verdicts
}

/// Tries one script at one level and asserts what the rows say.
async fn attack(test: &str, level: Level, script: &str, rows: &[Row]) {
    if !seclusion::is_possible() {
        eprintln!("not tried: it takes root to make a machine of a test's own");
        return;
    }
    if !seclusion::enter(test, DEADLINE).await {
        return;
    }
    let stage = Stage::set(level).await;
    // Without a level all languages are the same to the kernel.
    let languages: &[&str] = if level == Level::None { &["bash"] } else { &["bash", "python", "node"] };
    let verdicts = try_all(&stage, script, languages).await;
    stage.strike().await;
    assert_as_expected(level, rows, &verdicts);
}

/// Tries what begins in the browser.
async fn attack_by_pages(test: &str, level: Level) {
    if !seclusion::is_possible() {
        eprintln!("not tried: it takes root to make a machine of a test's own");
        return;
    }
    if !seclusion::enter(test, DEADLINE).await {
        return;
    }
    let stage = Stage::set(level).await;
    let mut verdicts = script::run_pages(&stage.own, &stage.parameters()).await;
    stage.hear(&mut verdicts);
    stage.strike().await;
    assert_as_expected(level, b_browser::ROWS, &verdicts);
}

#[tokio::test]
async fn at_none_pages_reach_the_machine() {
    attack_by_pages("at_none_pages_reach_the_machine", Level::None).await;
}

#[tokio::test]
async fn at_default_as_root_pages_reach_nothing_of_the_machine() {
    attack_by_pages("at_default_as_root_pages_reach_nothing_of_the_machine", Level::Root).await;
}

#[tokio::test]
async fn at_default_as_a_plain_user_pages_reach_nothing_of_the_machine() {
    attack_by_pages("at_default_as_a_plain_user_pages_reach_nothing_of_the_machine", Level::Plain).await;
}

macro_rules! attacks {
    ($($test:ident: $level:expr, $script:expr, $rows:expr;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                attack(stringify!($test), $level, $script, $rows).await;
            }
        )*
    };
}

attacks! {
    at_none_secrets_are_reached: Level::None, s_secrets::SCRIPT, s_secrets::ROWS;
    at_default_as_root_no_secret_is_reached: Level::Root, s_secrets::SCRIPT, s_secrets::ROWS;
    at_default_as_a_plain_user_no_secret_is_reached: Level::Plain, s_secrets::SCRIPT, s_secrets::ROWS;

    at_none_other_processes_are_reached: Level::None, r_resources::PROCESSES, r_resources::PROCESS_ROWS;
    at_default_as_root_no_other_process_is_reached: Level::Root, r_resources::PROCESSES, r_resources::PROCESS_ROWS;
    at_default_as_a_plain_user_no_other_process_is_reached: Level::Plain, r_resources::PROCESSES, r_resources::PROCESS_ROWS;

    at_none_the_kernel_answers_everything: Level::None, r_resources::SYSTEM_CALLS, r_resources::SYSTEM_CALL_ROWS;
    at_default_as_root_the_kernel_answers_no_dangerous_call: Level::Root, r_resources::SYSTEM_CALLS, r_resources::SYSTEM_CALL_ROWS;
    at_default_as_a_plain_user_the_kernel_answers_no_dangerous_call: Level::Plain, r_resources::SYSTEM_CALLS, r_resources::SYSTEM_CALL_ROWS;

    at_none_code_reaches_all_of_the_network: Level::None, n_network::SCRIPT, n_network::ROWS;
    at_default_as_root_code_has_no_way_but_the_proxy: Level::Root, n_network::SCRIPT, n_network::ROWS;
    at_default_as_a_plain_user_code_has_no_way_but_the_proxy: Level::Plain, n_network::SCRIPT, n_network::ROWS;

    at_none_files_of_others_can_be_changed: Level::None, f_files::SCRIPT, f_files::ROWS;
    at_default_as_root_no_file_of_others_can_be_changed: Level::Root, f_files::SCRIPT, f_files::ROWS;
    at_default_as_a_plain_user_only_what_is_said_of_files_can_be_changed: Level::Plain, f_files::SCRIPT, f_files::ROWS;
}
