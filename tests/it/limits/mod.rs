//! A session that exceeds a limit ends alone: its error names the limit, another session's code
//! keeps running, and the server stays small. The limits are low here, so that a bomb ends before
//! it affects the machine.

mod disk;
mod downloads;
mod memory;
mod processes;
mod scenario;
mod tabs;
mod viewers;
