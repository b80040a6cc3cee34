//! S6, S10 and S11: files that code leaves behind, files outside the session, and traps for the
//! server.

use crate::attacks::row::{Row, contained, needs_users, never};

pub const SCRIPT: &str = include_str!("../../fixtures/attacks/files.py");
pub const LEAVE: &str = include_str!("../../fixtures/attacks/leave.py");
pub const COME_BACK: &str = include_str!("../../fixtures/attacks/come_back.py");

pub const SAME_USER: &str = "code runs as the server's user, which owns these files, and \
                             Landlock does not restrict metadata changes. Start the server as \
                             root to give sessions separate users";

/// Not every machine has the cache.
pub const FONT_CACHE_PROBES: &[&str] = &[
    "?add_to_font_cache",
    "?overwrite_font_cache",
    "?move_font_cache",
];

pub const ROWS: &[Row] = &[
    contained(
        "S10",
        "truncates, extends, renames and removes world-writable files, creates new ones next to \
         them, links them into its own directory",
        &[
            "truncate",
            "append",
            "rename",
            "unlink",
            "create",
            "make_dir",
            "make_link",
            "hard_link_into_session",
            "make_fifo",
        ],
    ),
    contained(
        "S10",
        "creates a device node in its own directory",
        &["make_device"],
    ),
    contained(
        "S10",
        "changes compiled code that the kernels of all sessions load: adds, overwrites, moves and replaces entries of the cache",
        &[
            "add_compiled",
            "overwrite_compiled",
            "append_to_compiled",
            "truncate_compiled",
            "move_compiled",
            "replace_compiled",
            "?replace_compiled_by_own_file",
            "move_compile_cache",
            "change_mode_of_compiled",
        ],
    ),
    never(
        "S10",
        "makes its own kernels load other compiled code: changes or replaces its link to the cache",
        &[
            "add_to_own_compile_cache",
            "move_own_link",
            "remove_own_link",
            "move_own_compile_cache",
        ],
    ),
    contained(
        "S10",
        "changes the font cache of the machine",
        FONT_CACHE_PROBES,
    ),
    needs_users(
        "S10",
        "changes mode, times, owner and attributes of the server's files",
        &[
            "change_mode",
            "change_times",
            "change_owner",
            "change_attributes",
            "change_mode_of_dir",
        ],
        SAME_USER,
    ),
];

/// Traces that the second of two sessions finds of the first one, which has ended.
pub const LEFT_ROWS: &[Row] = &[
    contained(
        "S6",
        "finds an earlier session's files in /var/tmp, its shared memory or its message queues",
        &["in_var_tmp", "in_shared_memory", "?in_message_queue"],
    ),
    never(
        "S6",
        "finds an earlier session's files in /tmp or /dev/shm, or its processes",
        &["in_tmp", "in_dev_shm", "in_a_process"],
    ),
];

/// The server's behaviour in a dir full of traps.
pub const TRAP_ROWS: &[Row] = &[
    contained(
        "S11",
        "replaces the agent-browser daemon's files and directory with links for the server to follow",
        &["?daemons_file_is_a_link", "daemons_dir_is_a_link"],
    ),
    never(
        "S11",
        "makes its directory hard to remove: links to outside directories, pipes, inaccessible \
         directories, 3,000 nested directories",
        &["removing_hangs", "removing_follows_links"],
    ),
];
