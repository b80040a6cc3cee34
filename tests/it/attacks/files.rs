//! S6, S10 and S11: files that code leaves behind, files outside the session, and traps for the
//! server.

use crate::attacks::row::{Row, contained, needs_users, never};

pub const SCRIPT: &str = include_str!("../../fixtures/attacks/files.py");
pub const LEAVE: &str = include_str!("../../fixtures/attacks/leave.py");
pub const COME_BACK: &str = include_str!("../../fixtures/attacks/come_back.py");

pub const SAME_USER: &str = "files of the server's user are its code's own, and Landlock does not cover what is said about a \
                         file: start the server as root, which gives sessions other users";

pub const ROWS: &[Row] = &[
    contained(
        "S10",
        "cuts, extends, renames and removes files that everybody may write, makes new ones beside them, links them into its folder",
        &[
            "truncate",
            "append",
            "rename",
            "unlink",
            "create",
            "make_folder",
            "make_link",
            "hard_link_into_session",
            "make_fifo",
        ],
    ),
    contained("S10", "makes a device in its own folder", &["make_device"]),
    needs_users(
        "S10",
        "changes mode, times, owner and attributes of the server's files",
        &[
            "change_mode",
            "change_times",
            "change_owner",
            "change_attributes",
            "change_mode_of_folder",
        ],
        SAME_USER,
    ),
];

/// Traces that the second of two sessions finds of the first one, which has ended.
pub const LEFT_ROWS: &[Row] = &[
    contained(
        "S6",
        "finds what an earlier session has left in /var/tmp, in shared memory or in a message queue",
        &["in_var_tmp", "in_shared_memory", "?in_message_queue"],
    ),
    never(
        "S6",
        "finds what an earlier session has left in /tmp or /dev/shm, or a process of it",
        &["in_tmp", "in_dev_shm", "in_a_process"],
    ),
];

/// The server's behaviour in a dir full of traps.
pub const TRAP_ROWS: &[Row] = &[
    contained(
        "S11",
        "makes links of the agent-browser daemon's files and folder, for the server to write through",
        &["?daemons_file_is_a_link", "daemons_folder_is_a_link"],
    ),
    never(
        "S11",
        "makes its folder hard to remove: links to folders outside, pipes, closed folders, 3,000 folders deep",
        &["removing_hangs", "removing_follows_links"],
    ),
];
