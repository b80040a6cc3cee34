//! The emulation of a mobile device.

use serde_json::{Value, json};

use super::origin_headers::OriginHeaders;

/// The viewport of the emulated device, and its number of pixels per CSS pixel.
const MOBILE_WIDTH: u32 = 390;
const MOBILE_HEIGHT: u32 = 844;
const MOBILE_SCALE: u32 = 3;

/// The settings of every tab that a driver attaches to.
#[derive(Debug, Default)]
pub(super) struct Emulation {
    pub headers: Option<OriginHeaders>,
    pub mobile: Option<MobileAgent>,
}

/// The user agent of the emulated device.
#[derive(Clone, Debug)]
pub(super) struct MobileAgent {
    user_agent: String,
    major: String,
}

/// Returns the params that set the viewport of the emulated device.
pub(super) fn mobile_metrics() -> Value {
    json!({
        "width": MOBILE_WIDTH,
        "height": MOBILE_HEIGHT,
        "deviceScaleFactor": MOBILE_SCALE,
        "mobile": true,
    })
}

impl MobileAgent {
    /// Derives the user agent from that of the browser, so that the versions agree.
    pub fn of(desktop: &str) -> MobileAgent {
        let version = desktop
            .split_once("Chrome/")
            .map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
        let user_agent = format!(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version} Mobile Safari/537.36"
        );
        let major = version.split('.').next().unwrap_or_default().to_owned();
        MobileAgent { user_agent, major }
    }

    /// Returns the params that set the user agent.
    pub fn params(&self) -> Value {
        json!({
            "userAgent": self.user_agent,
            "platform": "Linux armv81",
            "userAgentMetadata": {
                "brands": [
                    {"brand": "Chromium", "version": self.major},
                    {"brand": "Not A(Brand", "version": "24"},
                ],
                "platform": "Android",
                "platformVersion": "10.0.0",
                "architecture": "",
                "model": "K",
                "mobile": true,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_of_the_device_has_the_version_of_the_browser() {
        let agent = MobileAgent::of(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/156.0.0.0 Safari/537.36",
        );
        assert!(
            agent
                .user_agent
                .ends_with("Chrome/156.0.0.0 Mobile Safari/537.36")
        );
        assert_eq!(agent.major, "156");
    }
}
