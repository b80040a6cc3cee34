//! The workbench: its page in a real browser, and the routes behind it.

mod access;
mod desk;
mod files;
mod history;
mod keyboard;
mod layout;
mod lines;
mod list;
mod live;
mod running;
mod screenshot;
