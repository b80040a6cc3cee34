//! Scrapes: pages that are read, each in its own session, and interactions with them.
//!
//! - `run` handles one scrape with a [`PageDriver`](crate::page_driver::PageDriver), and `failure`
//!   says why it failed. `page_source` composes the script that reads the page. `owned_session`
//!   ends the session with the scrape, and `record` writes its log line and metrics.
//! - `interact` runs code in the session of a scrape. `openings` shares the opening of a session
//!   among requests, `kept` holds the sessions of recent scrapes, and `replay` repeats a scrape's
//!   steps in a new session.
//! - `contexts` remembers the pages of scrapes.

mod contexts;
mod failure;
mod interact;
mod interact_error;
mod kept;
mod openings;
mod owned_session;
mod page_source;
mod record;
mod replay;
mod run;
mod scrapes;

pub(crate) use self::failure::ScrapeError;
pub(crate) use self::interact::Interaction;
pub(crate) use self::interact_error::InteractError;
pub(crate) use self::page_source::PageSource;
pub(crate) use self::run::Scraped;
pub(crate) use self::scrapes::Scrapes;
