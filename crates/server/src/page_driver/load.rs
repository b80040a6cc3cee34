//! Opens addresses and waits until documents are loaded.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::PageDriver;
use super::error::PageError;

/// The time that a parsed document has for its parts, such as pictures.
const PARTS_TIME: Duration = Duration::from_secs(5);

/// The time that a document has which an action or the page has opened.
const NEXT_TIME: Duration = Duration::from_secs(10);

/// The state of a document that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The document is parsed.
    Parsed,
    /// The document and its parts are loaded, or five seconds have passed since it was parsed.
    Loaded,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Navigation {
    loader_id: Option<String>,
    error_text: Option<String>,
    #[serde(default)]
    is_download: bool,
}

impl PageDriver {
    /// Opens an address in the current tab, and waits for the document.
    pub async fn goto(
        &mut self,
        url: &str,
        until: Until,
        deadline: Instant,
    ) -> Result<(), PageError> {
        self.follow(deadline).await?;
        self.connection.page.expect_document();
        let params = json!({"url": url});
        let navigation: Navigation = self
            .connection
            .call("Page.navigate", &params, deadline)
            .await?;
        if navigation.is_download {
            return Err(PageError::Download);
        }
        if let Some(error) = navigation.error_text {
            return Err(PageError::NotLoaded(error));
        }
        let Some(loader) = navigation.loader_id else {
            // The address differs only in its fragment from the one that is shown.
            return Ok(());
        };
        let is_shown = self.connection.read_while(
            |page| page.load().loader.as_ref() != Some(&loader) && page.load().parsed_at.is_none(),
            deadline,
        );
        if !is_shown.await? {
            return Err(PageError::TimedOut);
        }
        self.loaded(until, deadline).await
    }

    /// Waits until the document of the tab is loaded.
    async fn loaded(&mut self, until: Until, deadline: Instant) -> Result<(), PageError> {
        let connection = &mut self.connection;
        let is_parsed = connection.read_while(|page| page.load().parsed_at.is_none(), deadline);
        if !is_parsed.await? {
            return Err(PageError::TimedOut);
        }
        if until == Until::Loaded {
            let parsed_at = connection.page.load().parsed_at;
            let parts = parsed_at.unwrap_or_else(Instant::now) + PARTS_TIME;
            let is_complete = connection
                .read_while(|page| !page.load().is_complete, parts.min(deadline))
                .await?;
            if !is_complete && deadline < parts {
                return Err(PageError::TimedOut);
            }
        }
        Ok(())
    }

    /// Waits for the document that an action or the page has opened, if one is being opened.
    pub async fn settle(&mut self, deadline: Instant) -> Result<(), PageError> {
        self.follow(deadline).await?;
        // The events that an action causes arrive before this reply.
        let params = json!({"expression": "0", "returnByValue": true});
        let reply: Result<Value, _> = self
            .connection
            .call("Runtime.evaluate", &params, deadline)
            .await;
        match reply {
            // The document changes at this moment.
            Ok(_) | Err(PageError::Rejected { .. }) => {}
            Err(PageError::Disconnected(_)) => return self.follow(deadline).await,
            Err(error) => return Err(error),
        }
        let load = self.connection.page.load();
        // A page can load forever, which ends the wait but not the scrape.
        let until = match (load.loading_since, load.parsed_at) {
            (None, _) => return Ok(()),
            (Some(since), Some(parsed_at)) if since < parsed_at => parsed_at + PARTS_TIME,
            (Some(since), _) => since + NEXT_TIME,
        };
        self.connection
            .read_while(
                |page| page.load().loading_since.is_some(),
                until.min(deadline),
            )
            .await?;
        Ok(())
    }
}
