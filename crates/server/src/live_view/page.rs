//! What the browser of a viewer runs: one page and its parts, in the executable.

/// The page. The same for everybody: its scripts find out what the link allows.
pub(crate) const HTML: &str = include_str!("page/view.html");

/// What the page consists of.
const PARTS: [Part; 7] = [
    Part { name: "view.css", kind: STYLE, text: include_str!("page/view.css") },
    Part { name: "view.js", kind: SCRIPT, text: include_str!("page/view.js") },
    Part { name: "connection.js", kind: SCRIPT, text: include_str!("page/connection.js") },
    Part { name: "keyboard.js", kind: SCRIPT, text: include_str!("page/keyboard.js") },
    Part { name: "picture.js", kind: SCRIPT, text: include_str!("page/picture.js") },
    Part { name: "pointer.js", kind: SCRIPT, text: include_str!("page/pointer.js") },
    Part { name: "tabs.js", kind: SCRIPT, text: include_str!("page/tabs.js") },
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
