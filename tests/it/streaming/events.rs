//! A client of server-sent events.

use std::collections::VecDeque;

use hearth_test_support::Api;
use hearth_test_support::description::DescribedResponse;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// Timeout in seconds of test code, unless the test is about time.
const TIMEOUT_SECONDS: u64 = 60;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// The events of one execution, while it runs.
#[derive(Debug)]
pub struct Events {
    method: Method,
    path: String,
    headers: HeaderMap,
    response: Response,
    text: String,
    /// Bytes after the last complete event.
    rest: Vec<u8>,
    ready: VecDeque<Event>,
    read: Vec<Event>,
    pub comments: usize,
}

/// All events of an execution.
#[derive(Debug)]
pub struct Transcript {
    pub stdout: String,
    pub stderr: String,
    pub result: Option<String>,
    /// The response.
    pub end: Value,
    pub comments: usize,
}

/// Returns a request that runs code and wants events.
pub fn request(api: &Api, id: &str, body: &Value) -> RequestBuilder {
    let request = api.request(Method::POST, &format!("/{id}/execute"));
    as_events(request, body)
}

fn as_events(request: RequestBuilder, body: &Value) -> RequestBuilder {
    let request = request.header("content-type", "application/json");
    request
        .header("accept", "text/event-stream")
        .body(body.to_string())
}

impl Events {
    /// Runs code. Returns when it has started.
    pub async fn of(api: &Api, id: &str, language: &str, code: &str) -> Self {
        Self::within(api, id, language, code, TIMEOUT_SECONDS).await
    }

    /// Runs code with this timeout.
    pub async fn within(api: &Api, id: &str, language: &str, code: &str, seconds: u64) -> Self {
        let body = json!({"language": language, "code": code, "timeout": seconds});
        Self::answering(request(api, id, &body)).await
    }

    /// Sends a request. Asserts that events answer it.
    pub async fn answering(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("tests build valid requests");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("the server answers");
        let headers = response.headers().clone();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-store, no-transform");
        Self {
            method,
            path,
            headers,
            response,
            text: String::new(),
            rest: Vec::new(),
            ready: VecDeque::new(),
            read: Vec::new(),
            comments: 0,
        }
    }

    /// Returns the next event, or none at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.read.push(event.clone());
                return Some(event);
            }
            let Some(chunk) = self.response.chunk().await.expect("the response is whole") else {
                assert_eq!(self.rest, b"", "the last event is complete");
                return None;
            };
            self.rest.extend_from_slice(&chunk);
            while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let after = self.rest.split_off(end + 2);
                let block = std::mem::replace(&mut self.rest, after);
                let block = String::from_utf8(block).expect("events are text");
                self.text.push_str(&block);
                self.take(block.trim_end_matches('\n'));
            }
        }
    }

    /// Reads one event, whose lines are `event` and `data`, or a comment.
    fn take(&mut self, block: &str) {
        if block.starts_with(':') {
            self.comments += 1;
            return;
        }
        let (name, data) = block.split_once('\n').expect("two lines");
        let name = name.strip_prefix("event: ").expect("a name").to_owned();
        let data = data.strip_prefix("data: ").expect("data");
        let data = serde_json::from_str(data).expect("data is JSON in one line");
        self.ready.push_back(Event { name, data });
    }

    /// Reads on until the texts of these events contain `text`.
    pub async fn until(&mut self, name: &str, text: &str) {
        let mut found = String::new();
        while !found.contains(text) {
            let event = self.next().await;
            let event = event.unwrap_or_else(|| panic!("no {text} in {:?}", self.read));
            if event.name == name {
                found.push_str(event.data["text"].as_str().expect("a text"));
            }
            assert_ne!(event.name, "end", "no {text} in {:?}", self.read);
        }
    }

    /// Reads all events. Asserts the rules for all executions.
    pub async fn finish(mut self) -> Transcript {
        while self.next().await.is_some() {}
        DescribedResponse {
            method: &self.method,
            path: &self.path,
            status: 200,
            headers: &self.headers,
            body: &self.text,
        }
        .assert_described();
        let mut transcript = Transcript {
            stdout: String::new(),
            stderr: String::new(),
            result: None,
            end: Value::Null,
            comments: self.comments,
        };
        for Event { name, data } in &self.read {
            assert_eq!(transcript.end, Value::Null, "nothing follows the end");
            let fields: Vec<&String> = data.as_object().expect("an object").keys().collect();
            match name.as_str() {
                "stdout" | "stderr" => {
                    assert_eq!(fields, ["text"]);
                    let text = data["text"].as_str().expect("a text");
                    assert_ne!(text, "", "an event has text");
                    assert_eq!(transcript.result, None, "no output follows the result");
                    match name.as_str() {
                        "stdout" => transcript.stdout.push_str(text),
                        _ => transcript.stderr.push_str(text),
                    }
                }
                "result" => {
                    assert_eq!(fields, ["result"]);
                    let result = data["result"].as_str().expect("a text");
                    assert_eq!(transcript.result.replace(result.to_owned()), None);
                    assert_eq!(transcript.end, Value::Null);
                }
                "end" => transcript.end = data.clone(),
                name => panic!("an event {name}"),
            }
        }
        let end = &transcript.end;
        assert!(end["exitCode"].is_i64(), "no end: {:?}", self.read);
        // The whole texts would fill the message.
        let same = |text: &str, whole: &Value| text == whole.as_str().expect("a text");
        assert!(same(&transcript.stdout, &end["stdout"]), "stdout differs");
        assert!(same(&transcript.stderr, &end["stderr"]), "stderr differs");
        if let Some(result) = &transcript.result {
            assert!(same(result, &end["result"]), "the result differs");
        }
        transcript
    }
}

impl Transcript {
    /// Asserts that the code ended normally.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ended(0, false)
    }

    /// Asserts how the code ended.
    #[track_caller]
    pub fn ended(self, exit_code: i64, killed: bool) -> Self {
        let end = &self.end;
        assert_eq!(
            (&end["exitCode"], &end["killed"]),
            (&json!(exit_code), &json!(killed)),
            "{end}"
        );
        self
    }
}
