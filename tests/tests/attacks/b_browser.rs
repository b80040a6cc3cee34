//! B: what pages try, and what code tries through the browser.

use crate::row::{Row, contained, never};

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
