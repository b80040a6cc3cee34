//! The page's HTML, scripts and stylesheets, some of which the workbench uses too.

use crate::embedded::{Asset, Page};

/// The operator page. All users get the same page, which prompts for the key.
pub(crate) static PAGE: Page = Page {
    html: include_str!("page/page.html"),
    assets: &[
        Asset::style("base.css", include_str!("page/base.css")),
        Asset::style("page.css", include_str!("page/page.css")),
        Asset::script("page.js", include_str!("page/page.js")),
        Asset::script("key.js", include_str!("page/key.js")),
        Asset::script("sessions.js", include_str!("page/sessions.js")),
        Asset::script("words.js", include_str!("page/words.js")),
    ],
};
