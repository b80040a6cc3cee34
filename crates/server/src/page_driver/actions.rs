//! Performs the actions of a scrape.

use hearth_contract::action::Action;
use hearth_contract::{ScrapedPage, ScriptValue};
use tokio::time::Instant;

use super::PageDriver;
use super::error::PageError;
use super::script::bytes_of;

/// The maximum size of the HTML of a page, in bytes.
const MAX_HTML_BYTES: usize = 16 << 20;

/// The maximum size of the value that a script returns, in bytes.
const MAX_VALUE_BYTES: usize = 4 << 20;

/// The result of an action that has one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ActionResult {
    /// A picture, as a data URL.
    Screenshot(String),
    /// A printed page, as a data URL.
    Pdf(String),
    /// The HTML of the page.
    Scrape(ScrapedPage),
    /// The value of a script.
    Script(ScriptValue),
}

impl ActionResult {
    /// Returns the bytes that the result takes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            ActionResult::Screenshot(url) | ActionResult::Pdf(url) => url.len(),
            ActionResult::Scrape(page) => page.url.len() + page.html.len(),
            ActionResult::Script(returned) => bytes_of(&returned.value),
        }
    }
}

impl PageDriver {
    /// Performs one action in the current tab, and waits for the document that it opens.
    pub async fn perform(
        &mut self,
        action: &Action,
        deadline: Instant,
    ) -> Result<Option<ActionResult>, PageError> {
        self.follow(deadline).await?;
        let result = match action {
            Action::Wait { milliseconds } => {
                self.wait_ms(u64::from(*milliseconds), deadline).await?;
                None
            }
            Action::WaitFor { selector } => {
                self.wait_for(selector, deadline).await?;
                None
            }
            Action::Click { selector, all } => {
                self.click(selector, *all, deadline).await?;
                None
            }
            Action::Write { text } => {
                self.write(text, deadline).await?;
                None
            }
            Action::Press { key } => {
                self.press(key, deadline).await?;
                None
            }
            Action::Scroll {
                direction,
                selector,
            } => {
                let selector = selector.as_deref();
                self.scroll(*direction, selector, deadline).await?;
                None
            }
            Action::Screenshot(options) => {
                let url = self.screenshot(options, deadline).await?;
                return Ok(Some(ActionResult::Screenshot(url)));
            }
            Action::Pdf(options) => {
                let url = self.print(options, deadline).await?;
                return Ok(Some(ActionResult::Pdf(url)));
            }
            Action::Scrape => {
                let read = "() => ({ url: location.href, html: document.documentElement?.outerHTML ?? '' })";
                let limit = ("HTML of the page", MAX_HTML_BYTES);
                let page = self.evaluate_isolated(read, &(), limit, deadline).await?;
                return Ok(Some(ActionResult::Scrape(page)));
            }
            Action::ExecuteJavascript { script } => {
                let returned = self.run_script(script, MAX_VALUE_BYTES, deadline).await?;
                Some(ActionResult::Script(returned))
            }
        };
        self.settle(deadline).await?;
        Ok(result)
    }
}
