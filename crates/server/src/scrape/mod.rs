//! Scrapes: a page, read in a session of its own.
//!
//! `run` handles one request with a [`PageDriver`](crate::page_driver::PageDriver), and `failure`
//! says why it failed. `page_source` composes the script that reads the page. `owned_session` ends
//! the session with the scrape, and `record` writes its log line and metrics.

mod failure;
mod owned_session;
mod page_source;
mod record;
mod run;

use std::sync::Arc;

pub(crate) use self::failure::ScrapeError;
pub(crate) use self::page_source::PageSource;
pub(crate) use self::run::Scraped;
use crate::sessions::Registry;

/// The scrapes of a server.
#[derive(Debug)]
pub(crate) struct Scrapes {
    registry: Arc<Registry>,
    page_source: PageSource,
}

impl Scrapes {
    pub fn new(registry: Arc<Registry>, page_source: PageSource) -> Scrapes {
        Scrapes {
            registry,
            page_source,
        }
    }
}
