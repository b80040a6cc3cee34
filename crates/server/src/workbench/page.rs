//! The page's HTML, scripts and stylesheets.

use crate::embedded::{Asset, Page};

/// The workbench. All users get the same page, which prompts for the key.
pub(crate) static PAGE: Page = Page {
    html: include_str!("page/page.html"),
    assets: &[
        Asset::style("page.css", include_str!("page/page.css")),
        Asset::style("session.css", include_str!("page/session.css")),
        Asset::style("editor.css", include_str!("page/editor.css")),
        Asset::script("page.js", include_str!("page/page.js")),
        Asset::script("api.js", include_str!("page/api.js")),
        Asset::script("badges.js", include_str!("page/badges.js")),
        Asset::script("copy_as.js", include_str!("page/copy_as.js")),
        Asset::script("editor.js", include_str!("page/editor.js")),
        Asset::script("end_button.js", include_str!("page/end_button.js")),
        Asset::script("examples.js", include_str!("page/examples.js")),
        Asset::script("file_list.js", include_str!("page/file_list.js")),
        Asset::script("live_frame.js", include_str!("page/live_frame.js")),
        Asset::script("new_session.js", include_str!("page/new_session.js")),
        Asset::script("notice.js", include_str!("page/notice.js")),
        Asset::script("page_lines.js", include_str!("page/page_lines.js")),
        Asset::script("past.js", include_str!("page/past.js")),
        Asset::script("runner.js", include_str!("page/runner.js")),
        Asset::script("session_list.js", include_str!("page/session_list.js")),
        Asset::script("session_page.js", include_str!("page/session_page.js")),
        Asset::script("transfer.js", include_str!("page/transfer.js")),
        Asset::script("tabs.js", include_str!("page/tabs.js")),
        Asset::style("codemirror.css", include_str!("codemirror/codemirror.css")),
        Asset::script("codemirror.js", include_str!("codemirror/codemirror.js")),
        Asset::script("javascript.js", include_str!("codemirror/javascript.js")),
        Asset::script("python.js", include_str!("codemirror/python.js")),
        Asset::script("shell.js", include_str!("codemirror/shell.js")),
        Asset::script(
            "closebrackets.js",
            include_str!("codemirror/closebrackets.js"),
        ),
        Asset::script(
            "matchbrackets.js",
            include_str!("codemirror/matchbrackets.js"),
        ),
        Asset::script("comment.js", include_str!("codemirror/comment.js")),
    ],
};
