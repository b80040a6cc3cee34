//! Sessions that exceed a limit. Only the exceeding session or its code ends, the error names the
//! limit, another session's code keeps running, and the server stays small. The limits are low, so
//! that a bomb ends before it affects the machine.

mod disk;
mod downloads;
mod memory;
mod processes;
mod scenario;
mod tabs;
mod viewers;
