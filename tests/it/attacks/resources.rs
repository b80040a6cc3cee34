//! R: attacks on processes, machine resources and the kernel itself.

use crate::attacks::row::{Expected, Row, contained, never, open};

pub const PROCESSES: &str = include_str!("../../fixtures/attacks/processes.py");
pub const SYSTEM_CALLS: &str = include_str!("../../fixtures/attacks/system_calls.py");

pub const PROCESS_ROWS: &[Row] = &[
    contained(
        "R1",
        "sends signals to the server, to shims, to another session's processes and to its own \
         browser, by every system call",
        &[
            "kill_server",
            "kill_shim",
            "kill_neighbour",
            "kill_own_browser",
            "tgkill_server",
            "pidfd_signal_server",
            "sigqueue_server",
            "kill_group_of_server",
        ],
    ),
    open(
        "R1",
        "opens a pidfd of the server",
        &["pidfd_of_server"],
        "it only reports when the process ends",
    ),
    contained(
        "R2",
        "reads and sets limits, CPU affinity, scheduling and priorities of the server and of other sessions",
        &[
            "prlimit_server",
            "prlimit_set_server",
            "affinity_server",
            "scheduler_server",
            "scheduler_attributes_server",
            "priority_server",
            "priority_of_users",
            "priority_of_own_user",
            "io_priority_of_own_user",
            "io_priority_server",
        ],
    ),
    contained(
        "R2",
        "raises its own limits and priority, and lowers its OOM score",
        &[
            "?raise_own_limits",
            "raise_own_priority",
            "?lower_own_badness",
        ],
    ),
    contained(
        "R11",
        "traces the server and other sessions, reads and writes their memory, takes their descriptors",
        &[
            "ptrace_server",
            "ptrace_own",
            "read_memory_of_server",
            "write_memory_of_server",
            "take_descriptor_of_server",
            "?compare_with_server",
            "advise_memory_of_server",
            "?move_memory_of_server",
        ],
    ),
    contained(
        "R11",
        "becomes root or another session's user, holds capabilities, gains rights through set-uid programs",
        &[
            "become_root",
            "become_neighbour",
            "gain_by_setuid_program",
            "capabilities",
        ],
    ),
];

pub const KILL_ROWS: &[Row] = &[Row {
    id: "R1",
    attack: "kills every process it may signal, with `kill -9 -1`",
    probes: &["kill_all"],
    expected: [
        Expected::NotRun("it would kill the test"),
        Expected::Blocked,
        Expected::Blocked,
    ],
}];

pub const SYSTEM_CALL_ROWS: &[Row] = &[
    contained(
        "R9",
        "injects input into a terminal, or opens the machine's consoles",
        &["push_into_terminal", "?linux_console"],
    ),
    never(
        "R9",
        "opens its controlling terminal",
        &["controlling_terminal"],
    ),
    contained(
        "R10",
        "creates System V objects and message queues, which outlive processes",
        &["shmget", "msgget", "semget", "mq_open"],
    ),
    contained(
        "R11",
        "mounts, through the old and the new API",
        &[
            "mount",
            "umount",
            "pivot_root",
            "chroot",
            "open_tree",
            "move_mount",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "mount_setattr",
        ],
    ),
    contained(
        "R11",
        "creates namespaces of every kind, or enters the server's",
        &[
            "unshare_user",
            "unshare_pid",
            "unshare_net",
            "unshare_mount",
            "unshare_ipc",
            "unshare_uts",
            "unshare_cgroup",
            "unshare_time",
            "clone_user",
            "clone_pid",
            "clone_net",
            "clone_mount",
            "clone_ipc",
            "clone_uts",
            "clone_cgroup",
            "clone3_user_namespace",
            "setns",
            "namespace_of_server",
        ],
    ),
    contained(
        "R11",
        "uses kernel interfaces known from exploits: io_uring, keyrings, bpf, perf, userfaultfd",
        &[
            "?io_uring_setup",
            "?io_uring_enter",
            "?io_uring_register",
            "?keyctl",
            "?add_key",
            "?request_key",
            "?bpf",
            "?perf_event_open",
            "?userfaultfd",
            "?userfaultfd_device",
            "?fuse_device",
            "?tunnel_device",
        ],
    ),
    contained(
        "R11",
        "administers the machine: modules, swap, clocks, host names, accounting, kexec",
        &[
            "?init_module",
            "?finit_module",
            "?delete_module",
            "?kexec_load",
            "?swapon",
            "?swapoff",
            "reboot",
            "clock_settime",
            "settimeofday",
            "adjtimex",
            "sethostname",
            "setdomainname",
            "syslog",
            "?fanotify_init",
            "?acct",
            "?quotactl",
            "?open_by_handle_at",
            "?name_to_handle_at",
        ],
    ),
    contained(
        "R11",
        "makes system calls of foreign ABIs",
        &["?foreign_calls_of_32_bits", "?foreign_calls_of_x32"],
    ),
];
