//! Long tests: deadlines to a tenth of a second, thousands of rounds, and servers that are killed
//! repeatedly. `make test` skips them; `make soak` runs them one at a time, in about thirty
//! minutes.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod endings;
mod keys;
mod mixed;
mod node_lost;
mod rounds;
mod stops;
mod welch;
