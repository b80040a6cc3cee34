//! Keeps the settings that clients emulate on shared pages, such as the color scheme.
//!
//! Chromium has one value per page: the last client that sets it decides, and the end of any
//! session on the page resets most values for all clients. Clients also send values on their own
//! when they attach: Playwright its default media features, and Puppeteer its default viewport. So
//!
//! - a value that a client sends on its own is not applied,
//! - and when a session ends, the values of the remaining sessions are sent again.
//!
//! Pure. The broker's lock protects the state, which belongs to one session of a client.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

/// The maximum size of the params of a setting. Larger params reach the browser, but are not kept.
const MAX_BYTES: usize = 4 * 1024;

/// The name of the media type among the media features.
const MEDIA_TYPE: &str = "media";

/// The media features that Playwright always sends, and the values that its users did not choose.
/// Chromium has the same values by default.
const DEFAULT_FEATURES: [(&str, &str); 4] = [
    ("prefers-color-scheme", "light"),
    ("prefers-reduced-motion", "no-preference"),
    ("forced-colors", "none"),
    ("prefers-contrast", "no-preference"),
];

/// A setting of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Setting {
    /// The media type and features, such as the color scheme.
    Media,
    /// The size and the scale of the page.
    Viewport,
    /// Touch events.
    Touch,
    /// Focus that the page always has.
    Focus,
    /// Network conditions, such as being offline.
    Network,
}

impl Setting {
    /// Returns the setting that a method changes.
    pub(crate) fn changed_by(method: &str) -> Option<Setting> {
        match method {
            "Emulation.setEmulatedMedia" => Some(Setting::Media),
            "Emulation.setDeviceMetricsOverride" | "Emulation.clearDeviceMetricsOverride" => {
                Some(Setting::Viewport)
            }
            "Emulation.setTouchEmulationEnabled" => Some(Setting::Touch),
            "Emulation.setFocusEmulationEnabled" => Some(Setting::Focus),
            "Network.emulateNetworkConditions" => Some(Setting::Network),
            _ => None,
        }
    }
}

/// A client's call that changes a setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettingCall<'a> {
    pub(crate) setting: Setting,
    pub(crate) method: &'a str,
    pub(crate) params: Option<&'a str>,
    /// True if the client has opened the page.
    pub(crate) is_own_page: bool,
}

/// The effect of a client's call on a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The client sends a default. The browser does not get the call.
    Ignored,
    /// The value is kept until the session ends.
    Made,
    /// The session has no value any more, so those of other sessions apply again.
    Withdrawn,
    /// The session had no value, and resets those of all sessions.
    Reset,
    /// The call reaches the browser and is not kept.
    Passed,
}

/// The targets of sessions that end, with true if such a session has set the viewport.
pub(crate) type EndedSettings = BTreeMap<Arc<str>, bool>;

/// A command that sets a value again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RestoreCommand {
    pub(crate) on: Arc<str>,
    pub(crate) method: Cow<'static, str>,
    pub(crate) params: String,
}

/// The decision about a call that changes a setting.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SettingDecision {
    /// The browser does not get the call.
    pub(crate) is_ignored: bool,
    /// The params for the browser, if they differ from the client's.
    pub(crate) params: Option<String>,
    /// The commands that follow the call.
    pub(crate) restored: Vec<RestoreCommand>,
}

/// A value that a session has set.
#[derive(Debug)]
struct Made {
    /// Larger is later, over all sessions.
    order: u64,
    params: String,
}

/// The settings of one session.
#[derive(Debug, Default)]
pub(crate) struct PageSettings {
    made: BTreeMap<Setting, Made>,
    /// The media features that the user chose. The media type is one of them.
    media: BTreeMap<String, String>,
    /// The params of the last call about media.
    asked: Option<String>,
    /// True if the client has set the viewport, or tried to.
    has_set_viewport: bool,
}

#[derive(Deserialize)]
struct Media {
    #[serde(default)]
    media: Option<String>,
    #[serde(default)]
    features: Option<Vec<Feature>>,
}

#[derive(Deserialize)]
struct Feature {
    name: String,
    value: String,
}

impl PageSettings {
    /// Returns when the session set a value, as an order.
    pub(crate) fn order_of(&self, setting: Setting) -> Option<u64> {
        self.made.get(&setting).map(|made| made.order)
    }

    /// Returns the params of the session's value.
    pub(crate) fn params_of(&self, setting: Setting) -> Option<&str> {
        self.made.get(&setting).map(|made| &*made.params)
    }

    /// Returns the media type that the user chose.
    pub(crate) fn media_type(&self) -> Option<&str> {
        self.media.get(MEDIA_TYPE).map(String::as_str)
    }

    /// Returns the params of a call that sets the media features of this session. Such a call
    /// always sets the media type of the page, so this needs the type that applies to all sessions.
    pub(crate) fn media_params(&self, media_type: &str) -> String {
        let features = self.media.iter().filter(|(name, _)| *name != MEDIA_TYPE);
        let features: Vec<Value> = features
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        json!({"media": media_type, "features": features}).to_string()
    }

    /// Removes a value, for example because the browser rejected it or another client reset it.
    pub(crate) fn remove(&mut self, setting: Setting) {
        self.made.remove(&setting);
        if setting == Setting::Media {
            self.media.clear();
        }
    }

    /// Applies a call. `order` is larger than that of every earlier call.
    pub(crate) fn apply(&mut self, call: SettingCall<'_>, order: u64) -> Change {
        let text = call.params.unwrap_or("{}");
        if text.len() > MAX_BYTES {
            self.remove(call.setting);
            return Change::Passed;
        }
        let params = serde_json::from_str(text).unwrap_or(Value::Null);
        let sets = match call.setting {
            Setting::Media => return self.apply_media(text, order),
            Setting::Viewport => {
                let is_first = !std::mem::replace(&mut self.has_set_viewport, true);
                if is_first && !call.is_own_page && params == puppeteer_viewport() {
                    return Change::Ignored;
                }
                !call.method.contains("clear")
            }
            Setting::Touch | Setting::Focus => params["enabled"] == true,
            Setting::Network => !is_usual_network(&params),
        };
        if sets {
            let params = text.to_owned();
            self.made.insert(call.setting, Made { order, params });
            return Change::Made;
        }
        match (self.made.remove(&call.setting), call.setting) {
            (Some(_), _) => Change::Withdrawn,
            // Puppeteer sends this together with its default viewport.
            (None, Setting::Touch) => Change::Ignored,
            // Chromium ignores it.
            (None, Setting::Viewport) => Change::Passed,
            (None, _) => Change::Reset,
        }
    }

    /// Applies a call about media. Params of another form are for the browser to reject.
    fn apply_media(&mut self, text: &str, order: u64) -> Change {
        let Ok(Media { media, features }) = serde_json::from_str(text) else {
            return Change::Passed;
        };
        let features = features.unwrap_or_default();
        let names = features.iter().map(|feature| &*feature.name);
        let is_playwright = media.is_some() && names.eq(DEFAULT_FEATURES.map(|(name, _)| name));
        // Only a user repeats a call.
        let is_repeated = self.asked.as_deref() == Some(text);
        let is_chosen = |name: &str, value: &str| {
            let is_default = is_playwright && DEFAULT_FEATURES.contains(&(name, value));
            !value.is_empty() && (!is_default || is_repeated || self.media.contains_key(name))
        };
        let all = features
            .into_iter()
            .map(|Feature { name, value }| (name, value))
            .chain(media.map(|media| (MEDIA_TYPE.to_owned(), media)));
        let chosen: BTreeMap<String, String> =
            all.filter(|(name, value)| is_chosen(name, value)).collect();
        let is_less = self.media.keys().any(|name| !chosen.contains_key(name));
        self.media = chosen;
        self.asked = Some(text.to_owned());
        if self.media.is_empty() {
            self.made.remove(&Setting::Media);
        } else {
            let params = String::new();
            self.made.insert(Setting::Media, Made { order, params });
        }
        if is_less {
            Change::Withdrawn
        } else {
            Change::Made
        }
    }
}

/// Returns the viewport that Puppeteer gives to every page unless its user configures another one.
fn puppeteer_viewport() -> Value {
    json!({
        "mobile": false,
        "width": 800,
        "height": 600,
        "deviceScaleFactor": 1,
        "screenOrientation": {"angle": 0, "type": "portraitPrimary"},
    })
}

/// Returns true for conditions that neither delay nor block anything.
fn is_usual_network(params: &Value) -> bool {
    let limits = ["latency", "downloadThroughput", "uploadThroughput"];
    let is_limited = |name: &&str| params[*name].as_f64().is_some_and(|value| value > 0.0);
    params["offline"] != true && !limits.iter().any(is_limited)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(setting: Setting, method: &'static str, params: &'static str) -> SettingCall<'static> {
        SettingCall {
            setting,
            method,
            params: Some(params),
            is_own_page: false,
        }
    }

    fn media(settings: &mut PageSettings, params: &str) -> (Change, String) {
        let call = SettingCall {
            setting: Setting::Media,
            method: "Emulation.setEmulatedMedia",
            params: Some(params),
            is_own_page: false,
        };
        let change = settings.apply(call, 1);
        (change, settings.media_params("T"))
    }

    fn playwright(scheme: &str, motion: &str) -> String {
        json!({"media": "", "features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
            {"name": "forced-colors", "value": "none"},
            {"name": "prefers-contrast", "value": "no-preference"},
        ]})
        .to_string()
    }

    fn sent(features: &Value) -> String {
        json!({"media": "T", "features": features}).to_string()
    }

    #[test]
    fn media_that_playwright_sends_on_its_own_are_not_chosen() {
        let mut settings = PageSettings::default();
        let usual = playwright("light", "no-preference");
        assert_eq!(
            media(&mut settings, &usual),
            (Change::Made, sent(&json!([])))
        );
        assert!(settings.made.is_empty());
        let reduced = json!([{"name": "prefers-reduced-motion", "value": "reduce"}]);
        assert_eq!(
            media(&mut settings, &playwright("light", "reduce")).1,
            sent(&reduced)
        );
        // A feature stays chosen until its user withdraws it.
        assert_eq!(
            media(&mut settings, &usual).1,
            sent(&json!([{"name": "prefers-reduced-motion", "value": "no-preference"}]))
        );
        assert_eq!(
            media(&mut settings, &playwright("light", "")),
            (Change::Withdrawn, sent(&json!([])))
        );
    }

    #[test]
    fn media_that_a_user_sets_are_chosen() {
        let mut settings = PageSettings::default();
        let light = json!([{"name": "prefers-color-scheme", "value": "light"}]);
        let asked = json!({"features": light}).to_string();
        assert_eq!(media(&mut settings, &asked), (Change::Made, sent(&light)));
        media(&mut settings, r#"{"media": "print"}"#);
        assert_eq!(settings.media_type(), Some("print"));
        let mut settings = PageSettings::default();
        let usual = playwright("light", "no-preference");
        media(&mut settings, &usual);
        media(&mut settings, &usual);
        assert!(settings.media.contains_key("prefers-color-scheme"));
    }

    #[test]
    fn viewport_that_puppeteer_sends_on_its_own_is_ignored_once() {
        let method = "Emulation.setDeviceMetricsOverride";
        let params = r#"{"mobile":false,"width":800,"height":600,"deviceScaleFactor":1,"screenOrientation":{"angle":0,"type":"portraitPrimary"}}"#;
        let usual = call(Setting::Viewport, method, params);
        let mut settings = PageSettings::default();
        assert_eq!(settings.apply(usual, 1), Change::Ignored);
        assert_eq!(settings.apply(usual, 2), Change::Made);
        assert_eq!(settings.params_of(Setting::Viewport), Some(params));
        let own = SettingCall {
            is_own_page: true,
            ..usual
        };
        assert_eq!(PageSettings::default().apply(own, 1), Change::Made);
        let other = call(Setting::Viewport, method, r#"{"width":500,"height":400}"#);
        assert_eq!(PageSettings::default().apply(other, 1), Change::Made);
    }

    #[test]
    fn values_are_withdrawn_by_their_session_and_reset_by_others() {
        let online =
            r#"{"offline":false,"latency":0,"downloadThroughput":-1,"uploadThroughput":-1}"#;
        for (setting, on, off, by_another) in [
            (
                Setting::Touch,
                r#"{"enabled":true}"#,
                r#"{"enabled":false}"#,
                Change::Ignored,
            ),
            (
                Setting::Focus,
                r#"{"enabled":true}"#,
                r#"{"enabled":false}"#,
                Change::Reset,
            ),
            (
                Setting::Network,
                r#"{"offline":true,"latency":0}"#,
                online,
                Change::Reset,
            ),
        ] {
            let mut settings = PageSettings::default();
            assert_eq!(settings.apply(call(setting, "", off), 1), by_another);
            assert_eq!(settings.apply(call(setting, "", on), 2), Change::Made);
            assert_eq!(settings.order_of(setting), Some(2));
            assert_eq!(settings.apply(call(setting, "", off), 3), Change::Withdrawn);
            assert!(settings.made.is_empty());
        }
        let clear = call(
            Setting::Viewport,
            "Emulation.clearDeviceMetricsOverride",
            "{}",
        );
        assert_eq!(PageSettings::default().apply(clear, 1), Change::Passed);
    }

    #[test]
    fn large_params_are_not_kept() {
        let params = format!(r#"{{"media":"{}"}}"#, "x".repeat(MAX_BYTES));
        let mut settings = PageSettings::default();
        assert_eq!(media(&mut settings, &params).0, Change::Passed);
        assert!(settings.made.is_empty() && settings.asked.is_none());
    }
}
