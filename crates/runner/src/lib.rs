//! Run one piece of code to its outcome.
//!
//! There are two ways to run code. A [`Kernel`] is a long-lived node or python process that a
//! session's calls share: variables stay, and a call is a message instead of a process start. A
//! [`run_shell`] call is one fresh bash. Both end in the same type, an [`Outcome`], and are ended
//! by the same three things: the code itself, its deadline, and an [`Interruption`] from outside.
//!
//! `capture` keeps what a program prints within bounds, `output` reads it from the pipes, `frames`
//! is the language between a kernel and us, spoken over descriptors of its own so that nothing
//! which code prints can be mistaken for it.
//!
//! This crate must not know sessions, HTTP, or what a browser is; programs are started by
//! `hearth-confine`.

mod capture;
mod frames;
mod kernel;
mod outcome;
mod output;
mod shell;

pub use kernel::{Kernel, KernelProgram};
pub use outcome::{Ended, Interruption, Outcome, Run, RunError};
pub use shell::{ShellProgram, run_shell};
