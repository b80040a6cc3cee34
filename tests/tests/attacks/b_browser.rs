//! B: what pages try, and what code tries through the browser.

use crate::row::{Row, contained, needs_users, never, open};

pub const ROWS: &[Row] = &[
    never(
        "B8",
        "opens files and folders of the machine in a tab, also through view-source, another session's and /proc too",
        &["file_opened", "file_source_opened", "folder_opened", "other_sessions_file_opened", "server_memory_opened"],
    ),
    contained(
        "B8",
        "opens them by a link in its own folder, or has a page in its own folder frame them or go there",
        &["file_opened_by_a_link", "file_framed_by_own_page", "own_page_goes_to_file"],
    ),
    never(
        "B8",
        "has a page of a site frame, fetch or pop up a file of the machine",
        &["file_framed", "file_fetched", "file_popped_up"],
    ),
    never("B8", "gives a page a file of the machine to upload", &["file_uploaded"]),
    contained(
        "B8",
        "gives a page a file of the machine to upload, by a link in its own folder",
        &["file_uploaded_by_a_link"],
    ),
    never("B7", "has downloads written outside of the session", &["download_outside"]),
    contained(
        "B9",
        "opens a service on loopback in a tab, written in every way there is",
        &[
            "page_opens_loopback",
            "page_opens_name",
            "page_opens_name_with_dot",
            "page_opens_subdomain",
            "page_opens_v6",
            "page_opens_mapped",
            "page_opens_decimal",
            "page_opens_hexadecimal",
            "page_opens_octal",
            "page_opens_short",
        ],
    ),
    never("B9", "opens the server's own address in a tab", &["page_opens_server"]),
    contained(
        "B9",
        "has a page fetch, frame or talk to a service on loopback, from a worker too",
        &["page_fetches", "page_frames", "page_opens_socket", "worker_fetches"],
    ),
    never("B9", "opens the address of nobody in a tab, which is loopback for Linux", &["page_opens_zero"]),
    contained("B9", "is redirected to loopback by a site that it may open", &["page_is_redirected"]),
    contained(
        "B10",
        "opens a private address and the metadata address in a tab",
        &["page_opens_private", "page_opens_metadata"],
    ),
    never("B11", "has a page send datagrams by WebRTC", &["page_asks_stun"]),
    never(
        "B12",
        "makes a browser context that goes round the proxy, or has one of its own",
        &["context_without_proxy", "context_with_bypass", "context_with_own_proxy"],
    ),
];

/// Of a browser that was taken over, outside of its own sandbox. The probes are those of code.
pub const TAKEN_OVER_ROWS: &[Row] = &[
    contained(
        "S2",
        "a browser that was taken over reads the server's and other sessions' memory, environment and files",
        &[
            "every_environment",
            "server_environ",
            "server_mem",
            "server_maps",
            "server_root",
            "server_cwd",
            "neighbour_environ",
            "neighbour_mem",
            "neighbour_list",
            "neighbour_read",
            "neighbour_write",
            "neighbour_browser_data",
            "neighbour_sessions",
            "neighbour_agent",
        ],
    ),
    contained(
        "S8",
        "it reads and writes files of the machine, and walks all folders for more",
        &["data_folder", "shadow", "outside_file", "outside_list", "kernel_settings", "every_file", "every_folder"],
    ),
    contained(
        "R1",
        "it signals, traces and limits the server, shims and other sessions, and becomes another user",
        &[
            "kill_server",
            "kill_shim",
            "kill_neighbour",
            "ptrace_server",
            "read_memory_of_server",
            "write_memory_of_server",
            "take_descriptor_of_server",
            "prlimit_set_server",
            "become_root",
            "become_neighbour",
            "gain_by_setuid_program",
            "capabilities",
        ],
    ),
    contained(
        "S10",
        "it changes files that everybody may write",
        &["truncate", "append", "rename", "unlink", "create", "make_device"],
    ),
    needs_users(
        "S10",
        "it changes mode and times of the server's files",
        &["change_mode", "change_times"],
        crate::f_files::SAME_USER,
    ),
    contained(
        "B12",
        "it connects past the proxy: by TCP in every way, by datagrams, to private and metadata addresses",
        &[
            "tcp_loopback",
            "tcp_loopback_v6",
            "tcp_without_waiting",
            "tcp_private_address",
            "tcp_metadata_address",
            "?tcp_fast_open",
            "?tcp_fast_open_message",
            "?tcp_fast_open_by_option",
            "?mptcp",
            "udp",
            "udp_v6",
            "name_server",
            "raw_socket",
            "packet_socket",
            "every_port",
            "server_ports",
            "proxy_of_neighbour",
        ],
    ),
    contained(
        "S9",
        "it sends datagrams to a socket in the file system, or speaks to one that has no file",
        &["unix_dgram", "unix_dgram_message", "unix_abstract", "unix_pair_connected_again", "unix_pair_sent_elsewhere"],
    ),
    open(
        "S9",
        "it connects to a stream socket in the file system that everybody may use",
        &["unix_stream"],
        "a browser needs such sockets, and Landlock does not see their paths before Linux 7.1; those of docker and of session \
         buses are closed to its user by their modes when the server was started as root",
    ),
];
