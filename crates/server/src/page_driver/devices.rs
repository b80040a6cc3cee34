//! Sets headers, and emulates a mobile device.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::driver::PageDriver;
use super::error::PageError;
use super::origin_headers::OriginHeaders;

impl PageDriver {
    /// Adds headers to the requests of the tab to the origin of an address.
    pub async fn set_headers(
        &mut self,
        url: &Url,
        headers: &BTreeMap<String, String>,
        deadline: Instant,
    ) -> Result<(), PageError> {
        if headers.is_empty() {
            return Ok(());
        }
        self.headers = Some(OriginHeaders::new(url, headers));
        self.apply_headers(deadline).await
    }

    /// Emulates a mobile device: viewport, touch and user agent. Unlike the headers, it lasts until
    /// the session ends.
    pub async fn emulate_mobile(&mut self, deadline: Instant) -> Result<(), PageError> {
        let emulating = timeout_at(deadline, self.session.emulate_mobile()).await;
        emulating.map_err(|_| PageError::TimedOut)??;
        self.is_mobile = true;
        Ok(())
    }

    /// Sets on the tab the headers that the driver sets on every tab.
    pub(super) async fn apply_headers(&mut self, deadline: Instant) -> Result<(), PageError> {
        if let Some(headers) = &self.headers {
            let patterns = headers.patterns();
            self.connection.page.set_headers(headers.clone());
            let _: Value = self
                .connection
                .call("Fetch.enable", &patterns, deadline)
                .await?;
        }
        Ok(())
    }
}
