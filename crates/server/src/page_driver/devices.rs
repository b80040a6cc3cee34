//! Sets headers, and emulates a mobile device.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::driver::PageDriver;
use super::emulation::{MobileAgent, mobile_metrics};
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
        self.emulation.headers = Some(OriginHeaders::new(url, headers));
        self.apply_emulation(deadline).await
    }

    /// Emulates a mobile device: viewport, touch and user agent.
    pub async fn emulate_mobile(&mut self, deadline: Instant) -> Result<(), PageError> {
        let info = self.session.browser_info().await?;
        self.emulation.mobile = Some(MobileAgent::of(&info.user_agent));
        self.apply_emulation(deadline).await
    }

    /// Sets on the tab what the driver sets on every tab.
    pub(super) async fn apply_emulation(&mut self, deadline: Instant) -> Result<(), PageError> {
        if let Some(headers) = &self.emulation.headers {
            let patterns = headers.patterns();
            self.connection.page.set_headers(headers.clone());
            let _: Value = self
                .connection
                .call("Fetch.enable", &patterns, deadline)
                .await?;
        }
        let Some(agent) = self.emulation.mobile.clone() else {
            return Ok(());
        };
        let touch = json!({"enabled": true, "maxTouchPoints": 5});
        let calls = [
            ("Emulation.setDeviceMetricsOverride", mobile_metrics()),
            ("Emulation.setTouchEmulationEnabled", touch),
            ("Emulation.setUserAgentOverride", agent.params()),
        ];
        self.connection.call_all(&calls, deadline).await
    }

    /// Returns the params that set the viewport of the emulated device, if one is emulated.
    pub(super) fn usual_metrics(&self) -> Option<Value> {
        self.emulation.mobile.as_ref().map(|_| mobile_metrics())
    }
}
