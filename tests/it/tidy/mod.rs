//! Rules of the repository: its layers, its names, its prose and its lock files. No test here
//! starts a server.
//!
//! `clippy.toml` holds the rules that clippy can check. Change a rule here and in ARCHITECTURE.md,
//! with the reason.

mod code;
mod crates;
mod documents;
mod layers;
mod prose;
mod source;
mod vendored;

/// Fails with the rule and every place that breaks it.
#[track_caller]
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}\n", found.join("\n  "));
}
