//! The matrix of docs/SECURITY.md: every row with its result at each level, and properties proven
//! by other tests.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use hearth_test_support::document::assert_section;
use hearth_test_support::repository;

use crate::attacks::level::Level;
use crate::attacks::row::{Expected, Row};
use crate::attacks::{browser, files, network, resources, secrets};
use crate::bounded;

/// A property that holds at every level, and the tests that prove it.
struct Cited {
    id: &'static str,
    what: &'static str,
    tests: &'static [&'static str],
}

const fn cited(id: &'static str, what: &'static str, tests: &'static [&'static str]) -> Cited {
    Cited { id, what, tests }
}

const CITED: &[Cited] = &[
    cited(
        "S1",
        "programs do not inherit the server's environment",
        &[
            "no_process_gets_to_see_the_servers_environment",
            "code_sees_none_of_the_servers_variables",
        ],
    ),
    cited(
        "S13",
        "output is never mistaken for a kernel response, and garbage on a kernel's own \
         descriptors fails at most that call",
        &[
            "a_forged_answer_on_stdout_is_only_output",
            "nonsense_on_the_kernels_own_descriptors_fails_at_most_that_call",
        ],
    ),
    cited(
        "S14",
        "sessions do not share an agent-browser daemon",
        &[
            "two_sessions_do_not_share_an_agent_browser_daemon",
            "a_thousand_calls_of_agent_browser_in_two_sessions_see_their_own_page",
        ],
    ),
    cited(
        "S15",
        "requests for files lead out of the working directory by no path, link or race, and wait \
         for no pipe",
        &[
            "links_are_never_followed",
            "a_file_that_is_swapped_with_a_link_never_leads_outside",
            "paths_lead_nowhere_above_the_working_directory",
            "links_lead_nowhere",
            "files_that_are_not_regular_are_rejected_at_once",
            "files_that_code_swaps_with_links_never_lead_outside",
            "files_of_other_teams_are_out_of_reach",
        ],
    ),
    cited(
        "R7",
        "uploads end at the limits of the session and of the disk, and leave nothing if they break off",
        &[
            "an_upload_that_exceeds_the_disk_limit_is_rejected_before_it_is_sent",
            "an_upload_without_a_size_ends_at_the_disk_limit",
            "no_upload_fills_the_disk_of_the_server",
            "requests_for_files_of_one_session_have_a_maximum",
            "an_upload_that_breaks_off_leaves_the_earlier_file_and_nothing_else",
        ],
    ),
    cited(
        "R1",
        "a thousand mixed executions leave nothing behind",
        &["a_thousand_mixed_executions_leave_nothing"],
    ),
    cited(
        "R3, R4",
        "processes and threads have a limit",
        &[
            "more_processes_than_the_limit_end_the_code_that_started_them",
            "processes_that_start_processes_end_with_all_of_them",
            "more_threads_than_the_limit_end_the_code_that_started_them",
        ],
    ),
    cited(
        "R5",
        "memory has a limit, whatever its kind",
        &[
            "private_memory_above_the_limit_ends_the_code_that_took_it",
            "shared_memory_above_the_limit_ends_the_code_that_took_it",
            "a_mapped_memory_file_above_the_limit_ends_the_code_that_took_it",
            "memory_of_many_processes_counts_together",
            "memory_above_the_limit_in_a_page_ends_the_session",
        ],
    ),
    cited(
        "R6",
        "disk space and the number of files have limits",
        &[
            "one_large_file_ends_the_session",
            "many_small_files_end_the_session",
            "deleted_files_that_are_open_end_the_session",
            "what_a_page_stores_ends_the_session",
        ],
    ),
    cited(
        "O1, O2",
        "endless output is drained and truncated, even without line breaks",
        &[
            "endless_output_is_drained_until_the_timeout",
            "output_above_the_limit_loses_its_middle_and_says_so",
        ],
    ),
    cited(
        "O3",
        "invalid UTF-8 is replaced, and truncation never splits a character",
        &[
            "output_that_is_not_utf8_is_replaced",
            "truncation_never_splits_a_character",
        ],
    ),
    cited(
        "O4 to O9, O14",
        "a run ends at its deadline, even if it reads, closes its output, leaves daemons, \
         ignores signals or stops itself",
        &[
            "at_none_every_run_ends_at_its_deadline",
            "at_default_as_root_every_run_ends_at_its_deadline",
            "at_default_as_a_plain_user_every_run_ends_at_its_deadline",
        ],
    ),
    cited(
        "O9 to O11",
        "thousands of child processes, deadlines met to a tenth of a second, and runs that end \
         exactly at the deadline",
        &[
            "ten_thousand_children_leave_no_zombie",
            "deadlines_are_met",
            "a_run_that_ends_at_its_deadline_has_one_outcome",
        ],
    ),
    cited(
        "O13",
        "the length of code is counted in code points",
        &["code_is_counted_in_code_points"],
    ),
    cited(
        "B1",
        "a browser that dies fails the execution and ends the session",
        &["a_browser_that_dies_while_code_runs_fails_the_execution_and_ends_the_session"],
    ),
    cited(
        "B3",
        "a page with an endless script does not block a session",
        &["a_page_with_an_endless_script_blocks_no_code_and_keeps_its_state"],
    ),
    cited(
        "B6",
        "tabs have a limit",
        &[
            "a_client_is_refused_a_tab_above_the_limit_and_continues",
            "tabs_that_a_page_opens_above_the_limit_are_closed",
        ],
    ),
    cited(
        "B7",
        "a download has a limit",
        &["an_endless_download_is_cancelled_and_its_client_is_notified"],
    ),
    cited(
        "B9, B10",
        "every internal address range is denied in every notation",
        &[
            "every_range_of_ipv4_is_blocked_from_its_first_to_its_last_address",
            "of_ipv6_only_global_unicast_is_open",
            "an_embedded_address_is_checked_like_the_inner_address",
        ],
    ),
    cited(
        "B13",
        "a client cannot close or crash the browser for others",
        &[
            "a_client_that_closes_the_browser_only_disconnects",
            "a_client_cannot_crash_the_browser",
        ],
    ),
    cited(
        "H1",
        "a session's URLs require its token, which expires with the session",
        &[
            "an_upgrade_without_the_right_token_is_rejected",
            "the_url_of_a_deleted_session_is_rejected_and_its_sockets_are_closed",
        ],
    ),
    cited(
        "H2",
        "a page of another origin cannot open a live view",
        &["a_page_of_another_origin_cannot_open_it"],
    ),
    cited(
        "H3",
        "without keys only loopback host names are served, which prevents DNS rebinding",
        &["without_keys_only_loopback_host_names_are_served"],
    ),
    cited(
        "H4",
        "the time to reject a key does not depend on the key",
        &["the_time_of_a_rejection_does_not_depend_on_the_key"],
    ),
    cited(
        "H7 to H10, H15, H16",
        "bodies and headers that are too long, too deep or ambiguous are rejected; idle \
         connections, floods and line breaks do no harm",
        &[
            "at_default_as_root_the_server_survives_hostile_requests",
            "at_default_as_a_plain_user_the_server_survives_hostile_requests",
            "a_client_can_read_the_rejection_of_a_too_large_body_while_it_still_sends",
            "schemathesis_finds_no_difference_between_server_and_file",
        ],
    ),
    cited(
        "H11",
        "a session id is never interpreted as anything else",
        &["unknown_sessions_are_not_found_whatever_their_id_looks_like"],
    ),
    cited(
        "H12",
        "sessions have a limit",
        &["concurrent_creations_do_not_exceed_the_session_limit"],
    ),
    cited(
        "H13",
        "deleting a session, disconnecting and stopping the server while code runs leave nothing behind",
        &[
            "deleting_a_session_ends_the_code_that_runs_in_it",
            "a_client_that_disconnects_cancels_its_execution",
            "sigterm_while_sessions_are_being_created_leaves_nothing",
        ],
    ),
    cited(
        "H14",
        "the live view shows a page's title as text, not markup",
        &["a_title_with_markup_is_shown_as_text"],
    ),
    cited(
        "C2",
        "a killed server leaves no process, even if all of them are stopped",
        &[
            "a_killed_server_leaves_no_process_when_everything_is_stopped_shims_included",
            "a_server_that_is_killed_while_all_its_processes_are_stopped_leaves_nothing",
            "a_server_that_is_killed_repeatedly_leaves_nothing",
        ],
    ),
    cited(
        "C2",
        "a killed server leaves no process after 2 s, even if a third of them was stopped just before and the machine is busy",
        &[
            "a_server_that_is_killed_right_after_a_third_of_its_processes_was_stopped_leaves_nothing",
            "as_root_a_killed_server_leaves_nothing_in_fifty_of_fifty_rounds",
            "as_a_plain_user_a_killed_server_leaves_nothing_in_ten_of_ten_rounds",
        ],
    ),
    cited(
        "R1",
        "a session's user ids are not reused while a process has them, even if shims were stopped",
        &[
            "a_deleted_session_whose_shims_are_stopped_ends_before_its_user_ids_are_reused",
            "no_session_gets_user_ids_that_a_process_has",
        ],
    ),
    cited(
        "R5, R6",
        "limits of memory and disk space hold while the server has no free descriptor; if usage \
         cannot be read, the largest session ends and no session is created",
        &[
            "as_root_bombs_end_while_no_descriptor_is_free",
            "as_a_plain_user_bombs_end_while_no_descriptor_is_free",
            "a_server_that_cannot_read_usage_ends_the_largest_session_and_recovers",
        ],
    ),
    cited(
        "H17",
        "the port between the nodes of a cluster answers only nodes: without a certificate that the \
         database has with a proof, or without TLS a signature, nobody is served",
        &[
            "strangers_get_no_answer_of_a_peer_port",
            "without_tls_requests_need_a_signature",
            "a_node_with_another_secret_is_no_peer",
            "a_client_with_an_unknown_certificate_is_refused",
            "a_client_without_a_certificate_is_refused",
        ],
    ),
    cited(
        "B10",
        "sessions reach neither nodes, nor the database, nor the object storage of a cluster, \
         whatever `HEARTH_EGRESS` and `HEARTH_EGRESS_ALLOW` are",
        &["sessions_reach_no_port_of_the_cluster"],
    ),
    cited(
        "D13",
        "names whose DNS server never answers delay no other session",
        &["lookups_that_hang_delay_no_other_session"],
    ),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    let groups = [
        secrets::ROWS,
        files::LEFT_ROWS,
        files::ROWS,
        files::TRAP_ROWS,
        network::ROWS,
        resources::PROCESS_ROWS,
        resources::KILL_ROWS,
        resources::SYSTEM_CALL_ROWS,
        browser::ROWS,
        browser::COMPROMISED_BROWSER_ROWS,
    ];
    groups.into_iter().flatten()
}

fn number_of(note: &'static str, notes: &mut Vec<&'static str>) -> usize {
    let known = notes.iter().position(|known| *known == note);
    known.unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    }) + 1
}

fn table() -> String {
    let mut notes = Vec::new();
    let mut table = format!(
        "| | attack | {} |\n|---|---|---|---|---|\n",
        Level::ALL.map(Level::title).join(" | ")
    );
    for row in rows() {
        let cells = Level::ALL.map(|level| match row.at(level) {
            Expected::Reached => "works".to_owned(),
            Expected::Blocked => "stopped".to_owned(),
            Expected::Open(note) => format!("**open** ({})", number_of(note, &mut notes)),
            Expected::NotRun(note) => format!("not tried ({})", number_of(note, &mut notes)),
        });
        writeln!(
            table,
            "| {} | {} | {} |",
            row.id,
            row.attack,
            cells.join(" | ")
        )
        .unwrap();
    }
    for (index, note) in notes.iter().enumerate() {
        let lead = if index == 0 { "\n" } else { "" };
        writeln!(table, "{lead}{}. {note}.", index + 1).unwrap();
    }
    table
}

/// Attacks on the server's resources, and what they exhaust without limits.
fn bounds_table() -> String {
    let mut table = "| | attack | exhausts without limits |\n|---|---|---|\n".to_owned();
    for row in bounded::rows() {
        writeln!(
            table,
            "| {} | {} | {} |",
            row.id,
            row.attack,
            row.exhausts.name()
        )
        .unwrap();
    }
    table
}

fn cited_table() -> String {
    let mut table = "| | property | tests |\n|---|---|---|\n".to_owned();
    for Cited { id, what, tests } in CITED {
        let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
        writeln!(table, "| {id} | {what} | {} |", tests.join(" ")).unwrap();
    }
    table
}

/// Collects the names of all functions below a dir.
fn functions(dir: &Path, found: &mut BTreeSet<String>) {
    for path in fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
            // A macro generates some tests.
            let made = text.lines().filter_map(|line| line.trim().split_once(": "));
            found.extend(made.map(|(name, _)| name.to_owned()));
            found.extend(
                text.lines()
                    .filter_map(|line| line.trim().strip_suffix(':'))
                    .map(str::to_owned),
            );
        }
    }
}

#[test]
fn the_matrix_is_documented() {
    assert_section("docs/SECURITY.md", "attacks", &table());
    assert_section("docs/SECURITY.md", "bounds", &bounds_table());
    assert_section("docs/SECURITY.md", "proofs", &cited_table());
}

#[test]
fn every_test_cited_in_the_matrix_exists() {
    let mut known = BTreeSet::new();
    for dir in ["tests/it", "tests/clients", "crates"] {
        functions(&repository().join(dir), &mut known);
    }
    let cited = CITED.iter().flat_map(|cited| cited.tests);
    let missing: Vec<_> = cited.filter(|test| !known.contains(**test)).collect();
    assert!(
        missing.is_empty(),
        "docs/SECURITY.md cites tests that do not exist: {missing:?}"
    );
}
