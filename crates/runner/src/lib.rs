//! Runs one piece of code to its outcome.
//!
//! There are two ways to run code. A [`Kernel`] is a long-lived node or python process that the
//! calls of a session share: variables persist, and a call is a message instead of a process start.
//! [`run_shell`] starts a fresh bash. Both return an [`Outcome`]. Three things end a run: the code,
//! its deadline, and an [`Interruption`] by the session.
//!
//! - `kernel` is the handle and `kernel_task` the task that owns the process.
//! - `frames` is the protocol between kernel and server. It uses separate descriptors, so that
//!   output of the code cannot be mistaken for a message.
//! - `output` reads the output pipes and `capture` limits how much of it is kept. `live` lets a
//!   reader take it while the run continues.
//!
//! This crate must not depend on sessions, HTTP or browsers. `hearth-sandbox` starts the programs.

#![forbid(unsafe_code)]

mod attachment;
mod capture;
mod frames;
mod kernel;
mod kernel_task;
mod live;
mod outcome;
mod output;
mod run_end;
mod shell;
mod utf8;

pub use attachment::Attachment;
pub use kernel::{Kernel, KernelSpec};
pub use live::{LiveOutput, OutputStream};
pub use outcome::{Ended, Interruption, Outcome, Run, RunError};
pub use output::LastOutput;
pub use shell::{SCRIPT_LINK, SCRIPT_TARGET, ShellSpec, run_shell};
