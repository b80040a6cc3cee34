//! The mobile device that a browser can emulate. Pure.

use serde_json::json;

use super::page_settings::Setting;

/// The viewport of the device.
const WIDTH: u32 = 390;
const HEIGHT: u32 = 844;

/// The number of pixels of the device per CSS pixel.
pub const MOBILE_SCALE: u32 = 3;

const SET_VIEWPORT: &str = "Emulation.setDeviceMetricsOverride";
const CLEAR_VIEWPORT: &str = "Emulation.clearDeviceMetricsOverride";
const SET_TOUCH: &str = "Emulation.setTouchEmulationEnabled";
const SET_USER_AGENT: &str = "Emulation.setUserAgentOverride";

/// The params of the calls that emulate a mobile device.
#[derive(Debug)]
pub(super) struct MobileDevice {
    viewport: String,
    touch: String,
    user_agent: String,
}

impl MobileDevice {
    /// Derives the user agent from that of the browser, so that the versions agree.
    pub(super) fn of(desktop: &str) -> MobileDevice {
        let version = desktop
            .split_once("Chrome/")
            .map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
        let major = version.split('.').next().unwrap_or_default();
        let name = format!(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version} Mobile Safari/537.36"
        );
        let viewport = json!({
            "width": WIDTH,
            "height": HEIGHT,
            "deviceScaleFactor": MOBILE_SCALE,
            "mobile": true,
        });
        let user_agent = json!({
            "userAgent": name,
            "platform": "Linux armv81",
            "userAgentMetadata": {
                "brands": [
                    {"brand": "Chromium", "version": major},
                    {"brand": "Not A(Brand", "version": "24"},
                ],
                "platform": "Android",
                "platformVersion": "10.0.0",
                "architecture": "",
                "model": "K",
                "mobile": true,
            },
        });
        MobileDevice {
            viewport: viewport.to_string(),
            touch: json!({"enabled": true, "maxTouchPoints": 5}).to_string(),
            user_agent: user_agent.to_string(),
        }
    }

    /// Returns the calls that emulate the device on a tab, with their params.
    pub(super) fn calls(&self) -> [(&'static str, &str); 3] {
        [
            (SET_VIEWPORT, &self.viewport),
            (SET_TOUCH, &self.touch),
            (SET_USER_AGENT, &self.user_agent),
        ]
    }

    /// Returns the calls that set a setting again after the browser has reset it.
    pub(super) fn calls_for(&self, setting: Setting) -> Vec<(&'static str, &str)> {
        match setting {
            // Chromium ignores the second of two equal calls, even if the value was reset.
            Setting::Viewport => vec![(CLEAR_VIEWPORT, "{}"), (SET_VIEWPORT, &self.viewport)],
            Setting::Touch => vec![(SET_TOUCH, &self.touch)],
            Setting::Media | Setting::Focus | Setting::Network => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_of_the_device_has_the_version_of_the_browser() {
        let device = MobileDevice::of(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/156.0.0.0 Safari/537.36",
        );
        let expected = "Chrome/156.0.0.0 Mobile Safari/537.36";
        assert!(device.user_agent.contains(expected));
        assert!(device.user_agent.contains(r#""version":"156""#));
    }
}
