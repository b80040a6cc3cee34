//! Waits for elements, clicks and scrolls them.

use std::time::Duration;

use hearth_contract::action::Direction;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::driver::PageDriver;
use super::error::PageError;
use super::script::has_left;

/// The function that finds elements.
const ELEMENTS: &str = include_str!("elements.js");

/// The maximum time until an element is visible.
const ELEMENT_TIME: Duration = Duration::from_mins(1);

/// The time of one search in the page. A search ends with its document, so several short ones are
/// needed while the page changes.
const SEARCH_TIME: Duration = Duration::from_secs(1);

/// The maximum number of elements that one action clicks.
const MAX_CLICKS: usize = 1000;

/// The result of a search.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    count: usize,
    x: Option<f64>,
    y: Option<f64>,
}

impl PageDriver {
    /// Waits until an element is visible. Returns the number of elements that match.
    pub(super) async fn wait_for(
        &mut self,
        selector: &str,
        deadline: Instant,
    ) -> Result<usize, PageError> {
        let task = json!({"kind": "count", "selector": selector});
        Ok(self.search(task, selector, deadline).await?.count)
    }

    /// Clicks the first element that matches, or all of them.
    pub(super) async fn click(
        &mut self,
        selector: &str,
        all: bool,
        deadline: Instant,
    ) -> Result<(), PageError> {
        let task = json!({"kind": "click", "selector": selector});
        if !all {
            let found = self.search(task, selector, deadline).await?;
            return self.click_at(&found, deadline).await;
        }
        let count = self.wait_for(selector, deadline).await?;
        for index in 0..count.min(MAX_CLICKS) {
            let mut task = task.clone();
            task["index"] = index.into();
            // An earlier click may have removed this element.
            if let Some(found) = self.search_once(task, Duration::ZERO, deadline).await? {
                self.click_at(&found, deadline).await?;
            }
        }
        Ok(())
    }

    /// Scrolls the page or an element by one screen.
    pub(super) async fn scroll(
        &mut self,
        direction: Direction,
        selector: Option<&str>,
        deadline: Instant,
    ) -> Result<(), PageError> {
        let by = match direction {
            Direction::Up => -1,
            Direction::Down => 1,
        };
        if let Some(selector) = selector {
            let task = json!({"kind": "scroll", "selector": selector, "by": by});
            return self.search(task, selector, deadline).await.map(drop);
        }
        let scroll = "by => scrollBy({ top: by * innerHeight, behavior: 'instant' })";
        let limit = ("result of a scroll", 1000);
        let _: Value = self.evaluate_isolated(scroll, &by, limit, deadline).await?;
        Ok(())
    }

    /// Searches until an element is visible.
    async fn search(
        &mut self,
        task: Value,
        selector: &str,
        deadline: Instant,
    ) -> Result<Found, PageError> {
        let until = Instant::now() + ELEMENT_TIME;
        loop {
            let remaining = until.saturating_duration_since(Instant::now());
            let found = self.search_once(task.clone(), remaining, deadline).await?;
            if let Some(found) = found {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Err(PageError::no_element(selector, ELEMENT_TIME));
            }
        }
    }

    /// Searches in the document that is shown now. Returns `None` if no element is visible in this
    /// time, or the document is replaced.
    async fn search_once(
        &mut self,
        mut task: Value,
        time: Duration,
        deadline: Instant,
    ) -> Result<Option<Found>, PageError> {
        self.follow(deadline).await?;
        let time = time.min(SEARCH_TIME);
        task["milliseconds"] = u64::try_from(time.as_millis()).unwrap_or_default().into();
        let limit = ("result of a search", 1000);
        let found = self.evaluate_isolated(ELEMENTS, &task, limit, deadline);
        match found.await {
            Err(PageError::Rejected { message, .. }) if has_left(&message) => Ok(None),
            found => found,
        }
    }

    async fn click_at(&mut self, found: &Found, deadline: Instant) -> Result<(), PageError> {
        let (Some(x), Some(y)) = (found.x, found.y) else {
            // The page's script has clicked the element itself.
            return Ok(());
        };
        for (kind, buttons, clicks) in [
            ("mouseMoved", 0, 0),
            ("mousePressed", 1, 1),
            ("mouseReleased", 0, 1),
        ] {
            let params = json!({
                "type": kind,
                "x": x,
                "y": y,
                "button": if clicks == 0 { "none" } else { "left" },
                "buttons": buttons,
                "clickCount": clicks,
            });
            let _: Value = self
                .connection
                .call("Input.dispatchMouseEvent", &params, deadline)
                .await?;
        }
        Ok(())
    }
}
