//! Describes what a program may do, and enforces it.

pub(crate) mod apply;
pub(crate) mod bpf;
pub(crate) mod calls;
pub(crate) mod landlock;
pub(crate) mod notify;
pub(crate) mod private_tmp;
pub(crate) mod sandbox_policy;
pub(crate) mod seccomp;
pub(crate) mod user;
