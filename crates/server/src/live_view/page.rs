//! The live view page's HTML, scripts and stylesheet.

use crate::embedded::{Asset, Page};

/// The live view page. All viewers get the same page. Its scripts get the access of the link from
/// the server.
pub(crate) static PAGE: Page = Page {
    html: include_str!("page/view.html"),
    assets: &[
        Asset::style("view.css", include_str!("page/view.css")),
        Asset::script("view.js", include_str!("page/view.js")),
        Asset::script("connection.js", include_str!("page/connection.js")),
        Asset::script("frame_canvas.js", include_str!("page/frame_canvas.js")),
        Asset::script("keyboard.js", include_str!("page/keyboard.js")),
        Asset::script("pointer.js", include_str!("page/pointer.js")),
        Asset::script("tabs.js", include_str!("page/tabs.js")),
    ],
};
