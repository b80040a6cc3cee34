//! Headers for one origin, and the emulation of a mobile device.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::{Origin, Url};

use super::PageDriver;
use super::error::PageError;
use super::page_state::Request;

/// The viewport of the emulated device, and its number of pixels per CSS pixel.
const MOBILE_WIDTH: u32 = 390;
const MOBILE_HEIGHT: u32 = 844;
const MOBILE_SCALE: u32 = 3;

/// The headers that only the browser can set, because they belong to the connection.
const OF_CONNECTION: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a driver sets on every tab that it attaches to.
#[derive(Debug, Default)]
pub(super) struct Emulation {
    headers: Option<OriginHeaders>,
    mobile: Option<MobileAgent>,
}

/// The user agent of the emulated device.
#[derive(Clone, Debug)]
struct MobileAgent {
    user_agent: String,
    major: String,
}

/// Headers that are added to the requests of one origin.
#[derive(Clone, Debug)]
pub(super) struct OriginHeaders {
    origins: Vec<Origin>,
    headers: BTreeMap<String, String>,
}

/// `Fetch.requestPaused`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PausedRequest {
    request_id: String,
    request: PausedParts,
}

#[derive(Deserialize)]
struct PausedParts {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl OriginHeaders {
    /// Returns the headers for the origin of an address. If it is plain HTTP on the usual port, the
    /// same host with HTTPS counts as well, because most sites redirect to it.
    fn new(url: &Url, headers: &BTreeMap<String, String>) -> OriginHeaders {
        let mut origins = vec![url.origin()];
        if url.scheme() == "http" && url.port().is_none() {
            let mut secure = url.clone();
            // Both are schemes with a host.
            if secure.set_scheme("https").is_ok() {
                origins.push(secure.origin());
            }
        }
        let headers = headers
            .iter()
            .filter(|(name, _)| !OF_CONNECTION.contains(&name.to_ascii_lowercase().as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        OriginHeaders { origins, headers }
    }

    /// Returns the call that makes the browser announce every request of the origins.
    fn patterns(&self) -> Value {
        let patterns: Vec<Value> = self
            .origins
            .iter()
            .map(|origin| json!({"urlPattern": format!("{}/*", origin.ascii_serialization())}))
            .collect();
        json!({"patterns": patterns})
    }

    fn are_for(&self, url: &str) -> bool {
        let origin = Url::parse(url).map(|url| url.origin());
        origin.is_ok_and(|origin| self.origins.contains(&origin))
    }
}

impl PausedRequest {
    /// Returns the call that continues the request, with the headers for its origin.
    pub fn with_headers(self, added: Option<&OriginHeaders>) -> Request {
        let added = added.filter(|added| added.are_for(&self.request.url));
        let mut params = json!({"requestId": self.request_id});
        if let Some(added) = added {
            let is_replaced = |name: &String| {
                let mut names = added.headers.keys();
                names.any(|other| other.eq_ignore_ascii_case(name))
            };
            let own = self.request.headers.iter();
            let own = own.filter(|(name, _)| !is_replaced(name));
            let headers: Vec<Value> = own
                .chain(&added.headers)
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect();
            params["headers"] = headers.into();
        }
        Request {
            method: "Fetch.continueRequest",
            params,
            paused: added.map(|_| self.request_id),
        }
    }
}

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
        for (method, params) in [
            ("Emulation.setDeviceMetricsOverride", mobile_metrics()),
            ("Emulation.setTouchEmulationEnabled", touch),
            ("Emulation.setUserAgentOverride", agent.params()),
        ] {
            let _: Value = self.connection.call(method, &params, deadline).await?;
        }
        Ok(())
    }

    /// Returns the params that set the viewport of the emulated device, if one is emulated.
    pub(super) fn usual_metrics(&self) -> Option<Value> {
        self.emulation.mobile.as_ref().map(|_| mobile_metrics())
    }
}

fn mobile_metrics() -> Value {
    json!({
        "width": MOBILE_WIDTH,
        "height": MOBILE_HEIGHT,
        "deviceScaleFactor": MOBILE_SCALE,
        "mobile": true,
    })
}

impl MobileAgent {
    /// Derives the user agent from that of the browser, so that the versions agree.
    fn of(desktop: &str) -> MobileAgent {
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

    fn params(&self) -> Value {
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

    fn headers(url: &str) -> OriginHeaders {
        let url = Url::parse(url).expect("a URL");
        let given = [("X-A", "1"), ("accept", "x/y"), ("Host", "other")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        OriginHeaders::new(&url, &BTreeMap::from(given))
    }

    fn continued(url: &str, added: &OriginHeaders) -> Value {
        let event =
            json!({"requestId": "R", "request": {"url": url, "headers": {"Accept": "*/*"}}});
        let paused: PausedRequest = serde_json::from_value(event).expect("an event");
        paused.with_headers(Some(added)).params
    }

    #[test]
    fn headers_are_for_one_origin() {
        let added = headers("http://a.example:8080/x");
        let expected = json!([{"name": "X-A", "value": "1"}, {"name": "accept", "value": "x/y"}]);
        let own = continued("http://a.example:8080/other?q", &added);
        assert_eq!(own["headers"], expected);
        for other in [
            "http://a.example/x",
            "https://a.example:8080/x",
            "http://b.a.example:8080/x",
            "http://a.example:8080@b.example/x",
        ] {
            assert_eq!(
                continued(other, &added),
                json!({"requestId": "R"}),
                "{other}"
            );
        }
    }

    #[test]
    fn headers_follow_the_usual_redirect_to_https() {
        let added = headers("http://a.example/x");
        assert!(added.are_for("https://a.example/y"));
        assert!(!added.are_for("https://a.example:8443/y"));
        assert!(!headers("https://a.example/x").are_for("http://a.example/x"));
    }

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
