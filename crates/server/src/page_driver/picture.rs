//! Takes pictures of the page and prints it.

use hearth_browser::MOBILE_SCALE;
use hearth_contract::action::{Pdf, Screenshot};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::driver::PageDriver;
use super::error::PageError;

/// The maximum size of a picture or of a printed page, in bytes of base64.
const MAX_BYTES: usize = 32 << 20;

/// The maximum height of a picture, in CSS pixels. Chromium repeats parts of a larger one.
const MAX_HEIGHT: f64 = 16_384.0;

/// The maximum number of pixels of a picture.
const MAX_PIXELS: f64 = 50_000_000.0;

#[derive(Deserialize)]
struct Data {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    css_content_size: Size,
    css_visual_viewport: VisualViewport,
}

#[derive(Deserialize)]
struct Size {
    width: f64,
    height: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VisualViewport {
    client_width: f64,
    client_height: f64,
}

impl PageDriver {
    /// Takes a picture of the current tab. Returns a data URL.
    pub async fn screenshot(
        &mut self,
        options: &Screenshot,
        deadline: Instant,
    ) -> Result<String, PageError> {
        self.follow(deadline).await?;
        let Some(viewport) = options.viewport else {
            return self.capture(options, deadline).await;
        };
        let metrics = json!({
            "width": viewport.width,
            "height": viewport.height,
            "deviceScaleFactor": 1,
            "mobile": self.is_mobile,
        });
        let method = "Emulation.setDeviceMetricsOverride";
        let _: Value = self.connection.call(method, &metrics, deadline).await?;
        let captured = self.capture(options, deadline).await;
        // The viewport of the emulated device returns then.
        let method = "Emulation.clearDeviceMetricsOverride";
        let cleared = self.connection.call(method, &json!({}), deadline).await;
        let captured = captured?;
        cleared.map(|_: Value| captured)
    }

    async fn capture(
        &mut self,
        options: &Screenshot,
        deadline: Instant,
    ) -> Result<String, PageError> {
        let (format, media_type) = match options.quality {
            Some(_) => ("jpeg", "image/jpeg"),
            None => ("png", "image/png"),
        };
        let mut params = json!({"format": format, "optimizeForSpeed": false});
        if let Some(quality) = options.quality {
            params["quality"] = quality.into();
        }
        if options.full_page {
            params["captureBeyondViewport"] = true.into();
            params["clip"] = self.whole_page(deadline).await?;
        }
        let Data { data } = self
            .connection
            .call("Page.captureScreenshot", &params, deadline)
            .await?;
        data_url("screenshot", media_type, &data)
    }

    /// Returns the clip that shows the whole page. It ends at the maximum size of a picture.
    async fn whole_page(&mut self, deadline: Instant) -> Result<Value, PageError> {
        let metrics: Metrics = self
            .connection
            .call("Page.getLayoutMetrics", &json!({}), deadline)
            .await?;
        let shown = &metrics.css_visual_viewport;
        let width = metrics.css_content_size.width.max(shown.client_width);
        let height = metrics.css_content_size.height.max(shown.client_height);
        // A phone has several pixels per CSS pixel.
        let scale = if self.is_mobile {
            f64::from(MOBILE_SCALE)
        } else {
            1.0
        };
        let max_height = MAX_PIXELS / (width * scale * scale).max(1.0);
        let height = height.min(max_height).min(MAX_HEIGHT / scale).floor();
        Ok(json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1}))
    }

    /// Prints the current tab. Returns a data URL.
    pub(super) async fn print(
        &mut self,
        options: &Pdf,
        deadline: Instant,
    ) -> Result<String, PageError> {
        let (width, height) = options.paper.inches();
        let params = json!({
            "landscape": options.landscape,
            "scale": options.scale,
            "paperWidth": width,
            "paperHeight": height,
            "printBackground": true,
            "transferMode": "ReturnAsBase64",
        });
        let Data { data } = self
            .connection
            .call("Page.printToPDF", &params, deadline)
            .await?;
        data_url("PDF", "application/pdf", &data)
    }
}

fn data_url(what: &'static str, media_type: &str, base64: &str) -> Result<String, PageError> {
    if base64.len() > MAX_BYTES {
        return Err(PageError::TooLarge {
            what,
            max_mb: MAX_BYTES >> 20,
        });
    }
    Ok(format!("data:{media_type};base64,{base64}"))
}
