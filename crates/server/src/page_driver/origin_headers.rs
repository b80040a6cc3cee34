//! Headers that are added to the requests of one origin.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use url::{Origin, Url};

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

/// A call that the browser needs to continue.
#[derive(Debug)]
pub(super) struct Request {
    pub method: &'static str,
    pub params: Value,
    /// The id of the paused request, if the call can fail because of headers.
    pub paused: Option<String>,
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
    pub fn new(url: &Url, headers: &BTreeMap<String, String>) -> OriginHeaders {
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
    pub fn patterns(&self) -> Value {
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
}
