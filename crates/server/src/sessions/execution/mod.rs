//! One execute request, and the kernels.
//!
//! - `execute` handles the request: a turn in `kernel_slots`, the code in `run_code`, the response
//!   in `outcome`. `language_hint` explains code in the wrong language.
//! - `kernels` starts and replaces kernels.
//! - `execution_metrics` counts executions, `recent_executions` keeps the last outcomes,
//!   and `history` keeps their code and output for the workbench.

pub(super) mod execute;
pub(super) mod execution_metrics;
pub(super) mod history;
pub(super) mod kernel_slots;
pub(super) mod kernels;
pub(super) mod language_hint;
pub(super) mod outcome;
pub(super) mod recent_executions;
pub(super) mod run_code;
