//! Long tests: deadlines to a tenth of a second, thousands of rounds, and servers that are killed
//! repeatedly. Not part of `make test`; `make soak` runs them one at a time, in about twenty
//! minutes.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod endings;
mod keys;
mod rounds;
mod welch;
