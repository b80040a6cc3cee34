//! What takes too much ends alone: with a sentence that names the limit, while another session's
//! code runs on, and without any weight on the server. The limits are small here, so that a bomb is
//! over before a machine feels it.

mod disk;
mod downloads;
mod memory;
mod processes;
mod scenario;
mod tabs;
mod viewers;
