//! What takes long: deadlines to the tenth of a second, thousands of rounds, and servers that are
//! killed over and over. Not part of `make test`; `make soak` runs it, one test at a time, in about
//! twenty minutes.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod endings;
mod keys;
mod rounds;
mod welch;
