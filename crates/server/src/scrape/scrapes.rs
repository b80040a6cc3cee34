//! The parts that scrapes and interactions share.

use std::sync::Arc;
use std::time::Duration;

use hearth_contract::ScrapeContext;
use uuid::Uuid;

use super::contexts::Contexts;
use super::kept::Kept;
use super::openings::Openings;
use super::page_source::PageSource;
use crate::sessions::Registry;
use crate::store::Store;
use crate::team::Team;

/// The scrapes of a server.
#[derive(Debug)]
pub(crate) struct Scrapes {
    pub(super) registry: Arc<Registry>,
    pub(super) page_source: PageSource,
    pub(super) contexts: Contexts,
    pub(super) kept: Arc<Kept>,
    pub(super) openings: Arc<Openings>,
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
    /// Remembers a scrape that a Firecrawl server has answered. Does nothing if the id is known: it
    /// is part of a response, and must not change what the server knows about another team.
    pub async fn remember(&self, id: Uuid, team: &Team, context: &ScrapeContext) {
        match self.contexts.find(id).await {
            Ok(None) => self.contexts.remember(id, team, context).await,
            Ok(Some(_)) => {}
            Err(error) => tracing::warn!(%error, "scrape not recorded"),
        }
    }
}
