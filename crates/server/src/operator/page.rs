//! One page and its parts.

use crate::http::assets::Part;

/// The page. The same for everybody: it asks for the key by itself.
pub(crate) const HTML: &str = include_str!("page/page.html");

/// What the page consists of.
pub(crate) const PARTS: [Part; 4] = [
    Part::style("page.css", include_str!("page/page.css")),
    Part::script("page.js", include_str!("page/page.js")),
    Part::script("sessions.js", include_str!("page/sessions.js")),
    Part::script("words.js", include_str!("page/words.js")),
];
