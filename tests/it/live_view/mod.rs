//! The live view in a real browser: somebody opens a link of one session in the browser of another
//! one, sees its page and, with the interactive link, steers it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod ending;
mod keys;
mod layout;
mod pointer;
mod scenario;
mod screenshot;
mod tabs;
mod watching;
mod wire;
