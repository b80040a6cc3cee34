//! Processes that nobody should have left: those that run under the ids of a slot which is free.
//!
//! A slot is given back after the last process and the last file of its session are gone, so there
//! should never be one. This looks without the help of whoever should have ended them.

use std::collections::HashMap;
use std::fs;

use crate::policy::user::UserIds;

/// What the name of everything of ours in the process table begins with, shims and spawners; a
/// session's own process that calls itself so has a session's id.
const OWN_NAME_PREFIX: &str = "hearth";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    parent: i32,
    uid: u32,
    name: String,
}

/// The processes that have an id of a slot for which `is_leased` says no, and do not belong to
/// another server with the same ids. `top` is the process that starts shims. To be called with
/// slots that were taken before or after: reading the process table takes a moment (15 µs a
/// process). Blocks.
pub fn find_orphans(ids: UserIds, top: u32, is_leased: impl Fn(u16) -> bool) -> Vec<u32> {
    let mut table = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // A name in it is its owner's to choose, and need not be text.
        let Ok(status) = fs::read(entry.path().join("status")) else {
            continue;
        };
        if let Some(process) = parse(&String::from_utf8_lossy(&status)) {
            table.insert(pid, process);
        }
    }
    find_in(&table, ids, top.cast_signed(), is_leased)
}

fn find_in(
    table: &HashMap<i32, Process>,
    ids: UserIds,
    top: i32,
    is_leased: impl Fn(u16) -> bool,
) -> Vec<u32> {
    let is_free = |process: &Process| {
        ids.index_of(process.uid)
            .is_some_and(|index| !is_leased(index))
    };
    let orphans = table
        .iter()
        .filter(|(pid, process)| is_free(process) && belongs_to_us(table, ids, **pid, top));
    let mut orphans: Vec<u32> = orphans.map(|(pid, _)| pid.unsigned_abs()).collect();
    orphans.sort_unstable();
    orphans
}

/// Whether a process is below us, or below nobody who starts sessions.
fn belongs_to_us(table: &HashMap<i32, Process>, ids: UserIds, pid: i32, top: i32) -> bool {
    let mut is_anothers = false;
    let mut next = Some(pid);
    // A table that was read while it changed may have a circle in it.
    for _ in 0..=table.len() {
        let Some(pid) = next else { break };
        if pid == top {
            return true;
        }
        let Some(process) = table.get(&pid) else {
            break;
        };
        is_anothers |=
            process.name.starts_with(OWN_NAME_PREFIX) && ids.index_of(process.uid).is_none();
        next = Some(process.parent);
    }
    !is_anothers
}

fn parse(status: &str) -> Option<Process> {
    let mut process = Process {
        parent: -1,
        uid: u32::MAX,
        name: String::new(),
    };
    // A newline in a name is written as two characters, so every line is the kernel's own.
    for (key, value) in status.lines().filter_map(|line| line.split_once(':')) {
        match key {
            "Name" => value.trim().clone_into(&mut process.name),
            "PPid" => process.parent = value.trim().parse().ok()?,
            // Real, effective, saved, of the file system.
            "Uid" => process.uid = value.split_whitespace().next()?.parse().ok()?,
            // What has ended and waits for its parent does nothing any more.
            "State" if value.trim_start().starts_with(['Z', 'X']) => return None,
            _ => {}
        }
    }
    (process.parent >= 0).then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(i32, i32, u32, &str)]) -> HashMap<i32, Process> {
        let process = |parent, uid, name: &str| Process {
            parent,
            uid,
            name: name.to_owned(),
        };
        rows.iter()
            .map(|(pid, parent, uid, name)| (*pid, process(*parent, *uid, name)))
            .collect()
    }

    #[test]
    fn what_runs_under_the_ids_of_a_free_slot_is_a_stray() {
        let ids = UserIds::new(1000, 1004).expect("room for two");
        let table = table(&[
            (1, 0, 0, "init"),
            (10, 1, 0, "hearth-spawner"),
            (11, 10, 1000, "hearth"),
            // Of the first slot, below a shim of ours.
            (20, 10, 0, "hearth-shim"),
            (21, 20, 1002, "node"),
            // Of the second one, and its shim has gone.
            (31, 1, 1004, "sleep"),
            (32, 31, 1003, "hearth-shim"),
            // Of another server with the same ids.
            (40, 1, 0, "hearth-spawner"),
            (41, 40, 0, "hearth-shim"),
            (42, 41, 1002, "node"),
            // Of nobody.
            (50, 1, 1005, "bash"),
        ]);
        assert_eq!(find_in(&table, ids, 10, |_| true), [0; 0]);
        assert_eq!(find_in(&table, ids, 10, |index| index == 0), [31, 32]);
        assert_eq!(find_in(&table, ids, 10, |index| index == 1), [21]);
    }

    #[test]
    fn a_zombie_is_no_stray_and_a_name_cannot_lie() {
        let status =
            "Name:\tx\\nUid: 0\nState:\tS (sleeping)\nPPid:\t7\nUid:\t1002\t1002\t1002\t1002\n";
        let expected = Process {
            parent: 7,
            uid: 1002,
            name: "x\\nUid: 0".to_owned(),
        };
        assert_eq!(parse(status), Some(expected));
        assert_eq!(parse(&status.replace("S (sleeping)", "Z (zombie)")), None);
    }
}
