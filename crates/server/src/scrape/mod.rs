//! Scrapes, and interactions with their pages.
//!
//! - `interact` runs code in the session of a scrape. `openings` shares the opening of a session
//!   among requests, `kept` holds the sessions of recent scrapes, and `replay` repeats a scrape's
//!   steps in a new session.
//! - `contexts` remembers the pages of scrapes.
//!
//! This module does not depend on HTTP.

mod contexts;
mod error;
mod interact;
mod kept;
mod openings;
mod replay;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::contexts::Contexts;
pub(crate) use self::error::InteractError;
pub(crate) use self::interact::Interaction;
use self::kept::Kept;
use self::openings::Openings;
use crate::sessions::Registry;
use crate::store::Store;

/// The scrapes of a server.
#[derive(Debug)]
pub(crate) struct Scrapes {
    registry: Arc<Registry>,
    contexts: Contexts,
    kept: Arc<Kept>,
    openings: Arc<Openings>,
}

impl Scrapes {
    /// Creates the scrapes of a server. Sessions of scrapes are kept for `keep`.
    pub fn new(registry: Arc<Registry>, store: Store, keep: Duration) -> Arc<Scrapes> {
        Arc::new(Scrapes {
            kept: Kept::new(Arc::clone(&registry), keep),
            contexts: Contexts::new(store),
            openings: Arc::default(),
            registry,
        })
    }
}
