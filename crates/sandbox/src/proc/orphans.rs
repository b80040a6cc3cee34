//! Finds orphans: processes that run under the user ids of a session that no longer exists.
//!
//! The server reuses ids only after the last process and the last file of a session are gone, so
//! there should be no orphans. This check does not rely on the code that should have ended them.

use std::collections::HashMap;
use std::fs;
use std::io;

use crate::policy::user::UserIds;
use crate::proc::usage::unless_gone;

/// Prefix of the process names of Hearth: servers, shims and spawners. A session process with such
/// a name is recognized by its user id.
const OWN_NAME_PREFIX: &str = "hearth";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    parent: i32,
    uid: u32,
    name: String,
}

/// Returns the processes whose user id belongs to a session index for which `is_leased` is false,
/// except those of another server with the same ids.
///
/// `top` is the process that starts shims. Reading the process table takes time (15 µs per
/// process), so `is_leased` must return true for every index that was leased before or after the
/// call. Fails if a process cannot be read for a reason other than its end. Blocks.
pub fn find_orphans(
    ids: UserIds,
    top: u32,
    is_leased: impl Fn(u16) -> bool,
) -> io::Result<Vec<u32>> {
    let mut table = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // Programs choose their names, which need not be valid UTF-8.
        let Some(status) = unless_gone(fs::read(entry.path().join("status")))? else {
            continue;
        };
        if let Some(process) = parse(&String::from_utf8_lossy(&status)) {
            table.insert(pid, process);
        }
    }
    Ok(find_in(&table, ids, top.cast_signed(), is_leased))
}

/// Returns true if a process has a user id of the session index. Zombies count, because their other
/// threads may still run. Takes about 15 µs per process of the machine. Blocks.
pub fn has_processes(ids: UserIds, index: u16) -> io::Result<bool> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let is_process = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process {
            continue;
        }
        let Some(status) = unless_gone(fs::read(entry.path().join("status")))? else {
            continue;
        };
        let status = String::from_utf8_lossy(&status);
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let mut uids = uids.unwrap_or_default().split_whitespace();
        let is_of_index = |uid: &str| {
            let index_of_uid = uid.parse().ok().and_then(|uid| ids.index_of(uid));
            index_of_uid == Some(index)
        };
        if uids.any(is_of_index) {
            return Ok(true);
        }
    }
    Ok(false)
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

/// Returns true if a process is a descendant of `top`, or not of any Hearth server.
fn belongs_to_us(table: &HashMap<i32, Process>, ids: UserIds, pid: i32, top: i32) -> bool {
    let mut is_of_other_server = false;
    let mut next = Some(pid);
    // The table may contain a cycle, because it changed while it was read.
    for _ in 0..=table.len() {
        let Some(pid) = next else { break };
        if pid == top {
            return true;
        }
        let Some(process) = table.get(&pid) else {
            break;
        };
        is_of_other_server |=
            process.name.starts_with(OWN_NAME_PREFIX) && ids.index_of(process.uid).is_none();
        next = Some(process.parent);
    }
    !is_of_other_server
}

fn parse(status: &str) -> Option<Process> {
    let mut process = Process {
        parent: -1,
        uid: u32::MAX,
        name: String::new(),
    };
    // The kernel escapes newlines in names, so a program cannot add lines.
    for (key, value) in status.lines().filter_map(|line| line.split_once(':')) {
        match key {
            "Name" => value.trim().clone_into(&mut process.name),
            "PPid" => process.parent = value.trim().parse().ok()?,
            // Real, effective, saved and file system id.
            "Uid" => process.uid = value.split_whitespace().next()?.parse().ok()?,
            // A zombie does nothing; it only waits for its parent.
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
    fn processes_of_an_unleased_user_id_are_orphans() {
        let ids = UserIds::new(1000, 1004).expect("two sessions fit");
        let table = table(&[
            (1, 0, 0, "init"),
            (10, 1, 0, "hearth-spawner"),
            (11, 10, 1000, "hearth"),
            // Session 0, below the shim of this server.
            (20, 10, 0, "hearth-shim"),
            (21, 20, 1002, "node"),
            // Session 1, whose shim has ended.
            (31, 1, 1004, "sleep"),
            (32, 31, 1003, "hearth-shim"),
            // Another server with the same ids.
            (40, 1, 0, "hearth-spawner"),
            (41, 40, 0, "hearth-shim"),
            (42, 41, 1002, "node"),
            // A user id that belongs to no session.
            (50, 1, 1005, "bash"),
        ]);
        assert_eq!(find_in(&table, ids, 10, |_| true), [0; 0]);
        assert_eq!(find_in(&table, ids, 10, |index| index == 0), [31, 32]);
        assert_eq!(find_in(&table, ids, 10, |index| index == 1), [21]);
    }

    #[test]
    fn zombies_and_forged_names_are_ignored() {
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
