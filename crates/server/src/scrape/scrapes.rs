//! The scrapes of a server.

use std::sync::Arc;

use super::page_source::PageSource;
use crate::sessions::Registry;

/// The scrapes of a server.
#[derive(Debug)]
pub(crate) struct Scrapes {
    pub(super) registry: Arc<Registry>,
    pub(super) page_source: PageSource,
}

impl Scrapes {
    pub fn new(registry: Arc<Registry>, page_source: PageSource) -> Scrapes {
        Scrapes {
            registry,
            page_source,
        }
    }
}
