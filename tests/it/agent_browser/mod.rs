//! agent-browser in bash code: every command of its help, and what is added to them.

mod browser;
mod case;
mod commands;
mod page;
mod scrape;
mod tool;
mod wrapper;
