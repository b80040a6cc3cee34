//! agent-browser in bash code: every command of its help, and the commands that Hearth adds.

mod browser;
mod case;
mod commands;
mod page;
mod scrape;
mod tool;
mod wrapper;
