//! Scrapes, and interactions with their pages.
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

use std::sync::Arc;
use std::time::Duration;

use self::contexts::Contexts;
pub(crate) use self::failure::ScrapeError;
pub(crate) use self::interact::Interaction;
pub(crate) use self::interact_error::InteractError;
use self::kept::Kept;
use self::openings::Openings;
pub(crate) use self::page_source::PageSource;
pub(crate) use self::run::Scraped;
use crate::sessions::Registry;
use crate::store::Store;

/// The scrapes of a server.
#[derive(Debug)]
pub(crate) struct Scrapes {
    registry: Arc<Registry>,
    page_source: PageSource,
    contexts: Contexts,
    kept: Arc<Kept>,
    openings: Arc<Openings>,
}

impl Scrapes {
    /// Creates the scrapes of a server. Sessions of scrapes are kept for `keep`.
    pub fn new(
        registry: Arc<Registry>,
        store: Store,
        page_source: PageSource,
        keep: Duration,
    ) -> Arc<Scrapes> {
        Arc::new(Scrapes {
            kept: Kept::new(Arc::clone(&registry), keep),
            contexts: Contexts::new(store),
            openings: Arc::default(),
            registry,
            page_source,
        })
    }
}
