//! The live view in a real browser: the browser of one session opens a live view link of another
//! session, sees its page and, with the interactive link, controls it.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ending;
mod keys;
mod layout;
mod pointer;
mod scenario;
mod screenshot;
mod tabs;
mod watching;
mod wire;
