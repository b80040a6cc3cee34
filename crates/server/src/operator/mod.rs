//! What the browser of an operator runs: one page and its parts, in the executable. What it asks for is in
//! `handlers/operator`.

/// The page. The same for everybody: it asks for the key by itself.
pub(crate) const HTML: &str = include_str!("page/page.html");

/// What the page consists of.
const PARTS: [Part; 4] = [
    Part { name: "page.css", kind: STYLE, text: include_str!("page/page.css") },
    Part { name: "page.js", kind: SCRIPT, text: include_str!("page/page.js") },
    Part { name: "sessions.js", kind: SCRIPT, text: include_str!("page/sessions.js") },
    Part { name: "words.js", kind: SCRIPT, text: include_str!("page/words.js") },
];

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A script, or the style.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    /// Its content type.
    pub kind: &'static str,
    pub text: &'static str,
}

/// The part of that name.
pub(crate) fn part(name: &str) -> Option<&'static Part> {
    PARTS.iter().find(|part| part.name == name)
}
