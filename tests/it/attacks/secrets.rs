//! S: secrets, and information that one session may gain about another.

use crate::attacks::row::{Row, contained, needs_users, never, open};

const SAME_USER: &str = "code of every session runs as the server's user, and what the kernel tells about files and \
                         changes of their owner's own are not Landlock's concern";

pub const SCRIPT: &str = include_str!("../../fixtures/attacks/secrets.py");

pub const ROWS: &[Row] = &[
    never(
        "S1",
        "reads the server's keys and secrets in its own environment",
        &["own_environment"],
    ),
    contained(
        "S1",
        "looks for them in the environment of every process",
        &["every_environment"],
    ),
    never(
        "S1",
        "looks for them in the arguments of every process",
        &["command_lines"],
    ),
    contained(
        "S2",
        "reads the server's environment, memory, descriptors, root and working folder in /proc",
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
        "arguments of all processes can be read where /proc is; no secret is ever in one",
    ),
    never(
        "S3",
        "finds descriptors that it was not given",
        &["inherited_descriptors"],
    ),
    never(
        "S4",
        "connects to another session's browser with its own token",
        &["neighbours_connection"],
    ),
    contained(
        "S5",
        "lists, reads and writes another session's folder, plants a link in it, looks at its browser's data",
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
        "asks for size and times of another session's file",
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
        "lists the folder of all sessions",
        &["neighbour_sessions"],
    ),
    contained(
        "S5",
        "reads the environment and memory of another session's processes",
        &["neighbour_environ", "neighbour_mem"],
    ),
    contained(
        "S5",
        "speaks to the agent-browser daemon of another session",
        &["neighbour_agent"],
    ),
    never(
        "S5",
        "reads what another session has put into /tmp and /dev/shm",
        &["neighbour_tmp", "neighbour_shm"],
    ),
    contained(
        "S5",
        "reads what another session has put into /var/tmp",
        &["neighbour_var_tmp"],
    ),
    contained(
        "S5",
        "reads its own browser's data and memory, and takes its debugging pipe, around the broker",
        &["own_browser_data", "own_browser_mem", "own_browser_pipe"],
    ),
    contained(
        "S5",
        "lists, reads and writes what sessions have left in their profiles, and reads the server's store",
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
        "reads the server's data folder, /etc/shadow and a file that everybody may read",
        &[
            "data_folder",
            "shadow",
            "outside_file",
            "outside_file_by_a_link",
            "outside_list",
        ],
    ),
    contained(
        "S8",
        "walks all folders for a file that opens and for a place to write",
        &["every_file", "every_folder"],
    ),
    contained(
        "S8",
        "opens settings of the kernel and block devices",
        &["kernel_settings", "?block_devices"],
    ),
    never(
        "S12",
        "finds keys, tokens, code or what it printed in the server's log, at debug",
        &["log"],
    ),
];
