//! Lines of requests: one for each request that has ended.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::redact::{Headers, cut, redact_headers, redact_url};

/// The maximum number of requests in progress that are known. The oldest make room for new ones.
const MAX_REQUESTS: usize = 200;

/// The maximum length of other texts of a request, in bytes.
const MAX_TEXT_BYTES: usize = 200;

/// The requests of a tab that have not ended.
#[derive(Debug, Default)]
pub(super) struct Requests(VecDeque<Line>);

/// A request, which becomes a line when it has ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    kind: &'static str,
    #[serde(skip)]
    id: String,
    /// Seconds, by a clock of the browser without a meaning.
    #[serde(skip)]
    started: f64,
    method: String,
    url: String,
    /// `Document`, `Script`, `XHR` and other types of Chromium.
    #[serde(rename = "type")]
    resource: String,
    status: Option<u16>,
    mime_type: Option<String>,
    request_headers: Headers,
    response_headers: Headers,
    duration_ms: f64,
    bytes: Option<f64>,
    error: Option<String>,
    /// Milliseconds since 1970, by the clock of the browser.
    at: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WillBeSent {
    request_id: String,
    request: Request,
    timestamp: f64,
    wall_time: f64,
    #[serde(rename = "type", default)]
    resource: String,
    redirect_response: Option<Response>,
}

#[derive(Deserialize)]
struct Request {
    url: String,
    method: String,
    #[serde(default)]
    headers: Headers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    request_id: String,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: u16,
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    headers: Headers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finished {
    request_id: String,
    timestamp: f64,
    encoded_data_length: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    request_id: String,
    timestamp: f64,
    error_text: String,
}

impl Requests {
    /// Applies an event. Returns the line of a request that has ended.
    pub fn apply(&mut self, method: &str, params: &str) -> Option<String> {
        match method {
            "Network.requestWillBeSent" => self.begin(&serde_json::from_str(params).ok()?),
            "Network.responseReceived" => {
                let Received {
                    request_id,
                    response,
                } = serde_json::from_str(params).ok()?;
                let line = self.0.iter_mut().find(|line| line.id == request_id)?;
                line.answer(&response);
                None
            }
            "Network.loadingFinished" => {
                let finished: Finished = serde_json::from_str(params).ok()?;
                let mut line = self.take(&finished.request_id)?;
                line.bytes = Some(finished.encoded_data_length);
                line.end(finished.timestamp)
            }
            "Network.loadingFailed" => {
                let failed: Failed = serde_json::from_str(params).ok()?;
                let mut line = self.take(&failed.request_id)?;
                line.error = Some(cut(&failed.error_text, MAX_TEXT_BYTES));
                line.end(failed.timestamp)
            }
            _ => None,
        }
    }

    /// Adds a request. Returns the line of the one that was redirected to it.
    fn begin(&mut self, sent: &WillBeSent) -> Option<String> {
        let redirected = self.take(&sent.request_id).and_then(|mut line| {
            line.answer(sent.redirect_response.as_ref()?);
            line.end(sent.timestamp)
        });
        if self.0.len() >= MAX_REQUESTS {
            self.0.pop_front();
        }
        self.0.push_back(Line {
            kind: "network",
            id: cut(&sent.request_id, MAX_TEXT_BYTES),
            started: sent.timestamp,
            method: cut(&sent.request.method, MAX_TEXT_BYTES),
            url: redact_url(&sent.request.url),
            resource: cut(&sent.resource, MAX_TEXT_BYTES),
            status: None,
            mime_type: None,
            request_headers: redact_headers(&sent.request.headers),
            response_headers: Headers::new(),
            duration_ms: 0.0,
            bytes: None,
            error: None,
            at: sent.wall_time * 1000.0,
        });
        redirected
    }

    fn take(&mut self, id: &str) -> Option<Line> {
        let place = self.0.iter().position(|line| line.id == id)?;
        self.0.remove(place)
    }
}

impl Line {
    fn answer(&mut self, response: &Response) {
        self.status = Some(response.status);
        self.mime_type = Some(cut(&response.mime_type, MAX_TEXT_BYTES));
        self.response_headers = redact_headers(&response.headers);
    }

    fn end(mut self, timestamp: f64) -> Option<String> {
        self.duration_ms = ((timestamp - self.started) * 1000.0).max(0.0).round();
        serde_json::to_string(&self).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sent(id: &str, url: &str) -> Value {
        json!({"requestId": id, "loaderId": "l", "timestamp": 10.0, "wallTime": 1_790_000_000.5, "type": "XHR",
            "request": {"url": url, "method": "POST", "headers": {"Cookie": "a=b", "Accept": "*/*"}}})
    }

    fn apply(requests: &mut Requests, method: &str, params: &Value) -> Option<Value> {
        let line = requests.apply(method, &params.to_string())?;
        Some(serde_json::from_str(&line).expect("it is JSON"))
    }

    #[test]
    fn a_request_is_a_line_when_it_has_ended() {
        let mut requests = Requests::default();
        let url = "https://a.example/x";
        assert_eq!(
            apply(&mut requests, "Network.requestWillBeSent", &sent("1", url)),
            None
        );
        let received = json!({"requestId": "1", "response": {"status": 201, "mimeType": "text/html",
            "headers": {"Set-Cookie": "c=d", "Server": "s"}}});
        assert_eq!(
            apply(&mut requests, "Network.responseReceived", &received),
            None
        );
        let finished = json!({"requestId": "1", "timestamp": 10.25, "encodedDataLength": 300});
        assert_eq!(
            apply(&mut requests, "Network.loadingFinished", &finished).expect("a line"),
            json!({"kind": "network", "method": "POST", "url": url, "type": "XHR", "status": 201,
                "mimeType": "text/html", "requestHeaders": {"Accept": "*/*", "Cookie": "[redacted]"},
                "responseHeaders": {"Server": "s", "Set-Cookie": "[redacted]"}, "durationMs": 250.0,
                "bytes": 300.0, "error": null, "at": 1_790_000_000_500.0})
        );
        assert_eq!(
            apply(&mut requests, "Network.loadingFinished", &finished),
            None,
            "once"
        );
    }

    #[test]
    fn a_failure_and_a_redirect_are_lines() {
        let mut requests = Requests::default();
        apply(
            &mut requests,
            "Network.requestWillBeSent",
            &sent("1", "https://a.example/one"),
        );
        let mut next = sent("1", "https://a.example/two");
        next["redirectResponse"] = json!({"status": 302, "headers": {"Location": "/two"}});
        let first = apply(&mut requests, "Network.requestWillBeSent", &next).expect("a line");
        assert_eq!(
            (&first["status"], &first["url"]),
            (&json!(302), &json!("https://a.example/one"))
        );
        let failed = json!({"requestId": "1", "timestamp": 11.0, "errorText": "net::ERR_FAILED", "type": "XHR"});
        let second = apply(&mut requests, "Network.loadingFailed", &failed).expect("a line");
        assert_eq!(
            (&second["error"], &second["status"]),
            (&json!("net::ERR_FAILED"), &Value::Null)
        );
    }

    #[test]
    fn the_requests_in_progress_are_bounded() {
        let mut requests = Requests::default();
        for number in 0..MAX_REQUESTS + 5 {
            let sent = sent(&number.to_string(), "https://a.example/");
            apply(&mut requests, "Network.requestWillBeSent", &sent);
        }
        assert_eq!(requests.0.len(), MAX_REQUESTS);
        assert_eq!(requests.0[0].id, "5");
        assert_eq!(requests.apply("Network.loadingFailed", "{}"), None);
    }
}
