//! S: secrets, and information that one session may gain about another.

use crate::attacks::row::{Row, contained, needs_users, never, open};

const SAME_USER: &str = "the code of every session runs as the server's user, and Landlock does \
                         not restrict reading metadata or an owner's changes of mode";

pub const SCRIPT: &str = include_str!("../../fixtures/attacks/secrets.py");

pub const ROWS: &[Row] = &[
    never(
        "S1",
        "reads the server's keys and secrets in its own environment",
        &["own_environment"],
    ),
    contained(
        "S1",
        "searches the environment of every process for them",
        &["every_environment"],
    ),
    never(
        "S1",
        "searches the arguments of every process for them",
        &["command_lines"],
    ),
    contained(
        "S2",
        "reads the server's environment, memory, descriptors, root and working directory in /proc",
        &[
            "server_environ",
            "server_thread_environ",
            "server_mem",
            "server_maps",
            "server_descriptors",
            "server_root",
            "server_cwd",
        ],
    ),
    contained(
        "S2",
        "counts the server's descriptors in /proc",
        &["server_fd"],
    ),
    open(
        "S2",
        "reads the server's command line in /proc",
        &["server_cmdline"],
        "process arguments are readable in /proc; they never contain a secret",
    ),
    never(
        "S3",
        "finds inherited descriptors",
        &["inherited_descriptors"],
    ),
    never(
        "S4",
        "connects to another session's browser with its own token",
        &["neighbours_connection"],
    ),
    contained(
        "S5",
        "lists, reads and writes another session's directory, plants a link in it, reads its browser's data",
        &[
            "neighbour_list",
            "neighbour_read",
            "neighbour_write",
            "neighbour_symlink",
            "neighbour_browser_data",
        ],
    ),
    needs_users(
        "S5",
        "reads the size and times of another session's file",
        &["neighbour_stat"],
        SAME_USER,
    ),
    needs_users(
        "S5",
        "changes the mode of another session's file",
        &["neighbour_chmod"],
        SAME_USER,
    ),
    contained(
        "S5",
        "lists the directory of all sessions",
        &["neighbour_sessions"],
    ),
    contained(
        "S5",
        "reads the environment and memory of another session's processes",
        &["neighbour_environ", "neighbour_mem"],
    ),
    contained(
        "S5",
        "connects to the agent-browser daemon of another session",
        &["neighbour_agent"],
    ),
    never(
        "S5",
        "reads another session's files in /tmp and /dev/shm",
        &["neighbour_tmp", "neighbour_shm"],
    ),
    contained(
        "S5",
        "reads another session's files in /var/tmp",
        &["neighbour_var_tmp"],
    ),
    contained(
        "S5",
        "bypasses the broker: reads its own browser's data and memory, and takes its debugging pipe",
        &["own_browser_data", "own_browser_mem", "own_browser_pipe"],
    ),
    contained(
        "S5",
        "lists, reads and writes saved profiles, and reads the server's store",
        &[
            "profiles_list",
            "profile_read",
            "profile_write",
            "store_read",
        ],
    ),
    contained("S7", "connects to the server's own port", &["server_ports"]),
    contained(
        "S8",
        "reads the server's data directory, /etc/shadow and a world-readable file",
        &[
            "data_dir",
            "shadow",
            "outside_file",
            "outside_file_by_a_link",
            "outside_list",
        ],
    ),
    contained(
        "S8",
        "searches all directories for a file to open and a place to write",
        &["every_file", "every_dir"],
    ),
    contained(
        "S8",
        "opens kernel settings and block devices",
        &["kernel_settings", "?block_devices"],
    ),
    never(
        "S12",
        "finds keys, tokens, code or its output in the server's debug log",
        &["log"],
    ),
];
