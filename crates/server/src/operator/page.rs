//! The page's HTML, scripts and stylesheet.

use crate::embedded::{Asset, Page};

/// The operator page. All users get the same page, which prompts for the key.
pub(crate) static PAGE: Page = Page {
    html: include_str!("page/page.html"),
    assets: &[
        Asset::style("page.css", include_str!("page/page.css")),
        Asset::script("page.js", include_str!("page/page.js")),
        Asset::script("sessions.js", include_str!("page/sessions.js")),
        Asset::script("words.js", include_str!("page/words.js")),
    ],
};
