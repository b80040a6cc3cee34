//! The state of the server at a quiet point, when all sessions are deleted and nothing of them is
//! left.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::eventually;
use hearth_test_support::process::{self, Process};
use reqwest::Method;
use serde_json::{Value, json};

use super::caller::{Call, Caller};
use super::soak::{KEYS, OPERATOR_KEY, Soak};
use super::visit::creation;
use crate::bounded::watch::{open_descriptors, resident_mib};
use crate::operator::metrics::metrics;

/// The user ids of the server: the first is its own, and each session has two.
pub const UIDS: (u32, u32) = (62_000, 62_036);

/// The number of sessions that the user ids are for.
pub const SESSIONS: usize = 18;

/// The time for everything to end. Cleanups that a fault has cut off are repeated or time out.
const SETTLE_DEADLINE: Duration = Duration::from_secs(75);

/// Descriptors that may be open in addition to the first quiet point: connections of the audit.
const SPARE_DESCRIPTORS: u64 = 4;

/// The names of files in the dir of profiles have this length. Others are drafts or checkpoints.
const PROFILE_NAME: usize = 64;

/// Metrics that are 0 at a quiet point.
const ZEROS: [&str; 7] = [
    "hearth_sessions{state=\"creating\"}",
    "hearth_sessions{state=\"active\"}",
    "hearth_sessions{state=\"ending\"}",
    "hearth_executions{state=\"running\"}",
    "hearth_executions{state=\"waiting\"}",
    "hearth_leaked_processes",
    "hearth_buffer_bytes",
];

/// The state at the first quiet point.
#[derive(Debug)]
pub struct Baseline {
    sockets: BTreeSet<u64>,
    descriptors: u64,
}

impl Baseline {
    pub fn of(soak: &Soak<'_>) -> Baseline {
        Baseline {
            sockets: soak.server.listening_sockets(),
            descriptors: open_descriptors(soak.server.serving_pid()),
        }
    }
}

/// Returns true if the user id belongs to a session of the server.
fn is_of_session(uid: u32) -> bool {
    uid > UIDS.0 && uid <= UIDS.1
}

fn uid_of(path: &Path) -> Option<u32> {
    Some(path.symlink_metadata().ok()?.uid())
}

/// Returns the remaining processes, files and user ids of sessions, one per line.
async fn remaining(soak: &Soak<'_>, baseline: Option<&Baseline>) -> String {
    let server = soak.server;
    let own: BTreeSet<i32> = server.own_pids().into_iter().collect();
    let mut left: Vec<String> = Vec::new();
    let mut processes = server.processes();
    processes.extend(process::all().into_iter().filter(|process| {
        uid_of(Path::new(&format!("/proc/{}", process.pid))).is_some_and(is_of_session)
    }));
    processes.retain(|process| !own.contains(&process.pid) && Process::is_alive(process));
    processes.sort();
    processes.dedup_by_key(|process| process.pid);
    if !processes.is_empty() {
        left.push(format!("processes:\n{}", process::describe(&processes)));
    }
    let mut files = server.session_dirs();
    let profiles = std::fs::read_dir(server.data_dir().join("profiles"));
    let profiles = profiles.into_iter().flatten().flatten();
    files.extend(
        profiles
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name()
                    .is_none_or(|name| name.len() != PROFILE_NAME)
            })
            // A violation was recorded when the session was created.
            .filter(|path| path.extension().is_none_or(|it| it != "damaged")),
    );
    for shared in ["/tmp", "/var/tmp", "/dev/shm"] {
        let entries = std::fs::read_dir(shared).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        files.extend(paths.filter(|path| uid_of(path).is_some_and(is_of_session)));
    }
    if !files.is_empty() {
        left.push(format!("files: {files:?}"));
    }
    let metrics = metrics(&server.with_key(OPERATOR_KEY)).await;
    for name in ZEROS {
        let value = metrics[name];
        if value.abs() > 0.5 {
            left.push(format!("{name} is {value}"));
        }
    }
    if let Some(baseline) = baseline {
        let now = Baseline::of(soak);
        if now.sockets != baseline.sockets {
            let (now, before) = (&now.sockets, &baseline.sockets);
            left.push(format!("listening sockets: {now:?} instead of {before:?}"));
        }
        if now.descriptors > baseline.descriptors + SPARE_DESCRIPTORS {
            let (now, before) = (now.descriptors, baseline.descriptors);
            left.push(format!("{now} open descriptors instead of {before}"));
        }
    }
    left.join("\n")
}

/// Waits until nothing of any session is left.
pub async fn assert_nothing_left(soak: &Soak<'_>, baseline: Option<&Baseline>) {
    let what = "nothing is left of the sessions";
    eventually(SETTLE_DEADLINE, what, async || {
        let left = remaining(soak, baseline).await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Deletes the sessions that clients have left.
pub async fn delete_sessions(soak: &Soak<'_>) {
    soak.cdp_urls
        .lock()
        .expect("the lock is not poisoned")
        .clear();
    for key in KEYS {
        let caller = Caller::new(soak.server, key);
        let list = Call {
            what: "list",
            method: Method::GET,
            path: "/v2/interact?status=active".to_owned(),
            body: None,
            deadline: Duration::from_secs(30),
            allowed: &[200],
        };
        let listed = caller.call(&soak.journal, list.clone()).await;
        let listed = listed.map_or(Value::Null, |answer| answer.body);
        let sessions = listed["sessions"].as_array().cloned().unwrap_or_default();
        let deleting = sessions.iter().map(|session| {
            let id = session["id"].as_str().unwrap_or_default();
            let delete = Call {
                what: "delete",
                method: Method::DELETE,
                path: format!("/v2/interact/{id}"),
                deadline: Duration::from_secs(40),
                ..list.clone()
            };
            caller.call(&soak.journal, delete)
        });
        join_all(deleting).await;
    }
}

/// Creates as many sessions as there are user ids for. A user id that was not returned would be
/// missing.
pub async fn assert_every_uid_is_free(soak: &Soak<'_>) {
    let callers = KEYS.map(|key| Caller::new(soak.server, key));
    let body = json!({});
    let creating = (0..SESSIONS).map(|number| {
        let caller = &callers[number % KEYS.len()];
        let call = Call {
            allowed: &[200],
            ..creation(&body)
        };
        caller.call(&soak.journal, call)
    });
    let created = join_all(creating).await.into_iter().flatten().count();
    soak.journal
        .say(&format!("{created} of {SESSIONS} sessions fit at the end"));
    delete_sessions(soak).await;
}

/// Returns the resident memory of the server in MiB.
pub fn server_memory_mib(soak: &Soak<'_>) -> u64 {
    resident_mib(soak.server.serving_pid())
}
