//! What the browser of a viewer runs: one page and its parts.

use crate::http::assets::Part;

/// The page. The same for everybody: its scripts find out what the link allows.
pub(crate) const HTML: &str = include_str!("page/view.html");

/// What the page consists of.
pub(crate) const PARTS: [Part; 7] = [
    Part::style("view.css", include_str!("page/view.css")),
    Part::script("view.js", include_str!("page/view.js")),
    Part::script("connection.js", include_str!("page/connection.js")),
    Part::script("keyboard.js", include_str!("page/keyboard.js")),
    Part::script("picture.js", include_str!("page/picture.js")),
    Part::script("pointer.js", include_str!("page/pointer.js")),
    Part::script("tabs.js", include_str!("page/tabs.js")),
];
