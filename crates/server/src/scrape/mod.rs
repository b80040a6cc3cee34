//! Scrapes: pages that are read, each in its own session.
//!
//! `run` handles one request with a [`PageDriver`](crate::page_driver::PageDriver), and `failure`
//! says why it failed. `page_source` composes the script that reads the page. `owned_session` ends
//! the session with the scrape, and `record` writes its log line and metrics.

mod failure;
mod owned_session;
mod page_source;
mod record;
mod run;
mod scrapes;

pub(crate) use self::failure::ScrapeError;
pub(crate) use self::page_source::PageSource;
pub(crate) use self::run::Scraped;
pub(crate) use self::scrapes::Scrapes;
