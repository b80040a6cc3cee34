//! What the events of a tab say about its page.
//!
//! Pure: the connection passes events in, and sends the requests that come out.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::emulation::{OriginHeaders, PausedRequest};

/// The number of responses to requests for documents that are kept until their document is shown.
const MAX_RESPONSES: usize = 8;

/// The number of changed requests whose outcome is awaited.
const MAX_CONTINUED: usize = 64;

/// The state of a tab's page.
#[derive(Debug)]
pub(super) struct PageState {
    main_frame: String,
    load: Load,
    /// The latest responses to requests for documents of the main frame.
    responses: VecDeque<(String, Document)>,
    document: Option<Document>,
    /// The headers that are added to requests of one origin.
    headers: Option<OriginHeaders>,
    /// The requests with added headers, by the id of the call that continues them.
    continued: VecDeque<(i64, String)>,
    has_crashed: bool,
}

/// The progress of the main frame's document.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// The id of the document that is shown.
    pub loader: Option<String>,
    /// The time since which the frame loads something.
    pub loading_since: Option<Instant>,
    /// The time when the document was parsed.
    pub parsed_at: Option<Instant>,
    /// True once the document and its parts are loaded.
    pub is_complete: bool,
}

/// The response that a document comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub status: u16,
    pub status_text: String,
    /// The media type without parameters.
    pub mime_type: String,
    /// The value of the header `Content-Type`.
    pub content_type: Option<String>,
}

/// A call that the browser needs to continue.
#[derive(Debug)]
pub(super) struct Request {
    pub method: &'static str,
    pub params: Value,
    /// The id of the paused request, if the call can fail because of headers.
    pub paused: Option<String>,
}

impl PageState {
    pub fn new(main_frame: String) -> PageState {
        PageState {
            main_frame,
            load: Load::default(),
            responses: VecDeque::new(),
            document: None,
            headers: None,
            continued: VecDeque::new(),
            has_crashed: false,
        }
    }

    pub fn load(&self) -> &Load {
        &self.load
    }

    pub fn document(&self) -> Option<&Document> {
        self.document.as_ref()
    }

    /// Forgets the document that is shown, because another one is about to be opened.
    pub fn expect_document(&mut self) {
        self.load = Load::default();
    }

    pub fn has_crashed(&self) -> bool {
        self.has_crashed
    }

    pub fn set_headers(&mut self, headers: OriginHeaders) {
        self.headers = Some(headers);
    }

    /// Records the call that continues a paused request.
    pub fn continues(&mut self, call: i64, request: String) {
        if self.continued.len() == MAX_CONTINUED {
            self.continued.pop_front();
        }
        self.continued.push_back((call, request));
    }

    /// Handles the rejection of a call. A request whose headers were rejected continues without
    /// them.
    pub fn rejected(&mut self, call: i64) -> Option<Request> {
        let index = self.continued.iter().position(|(id, _)| *id == call)?;
        let (_, request) = self.continued.remove(index)?;
        Some(Request {
            method: "Fetch.continueRequest",
            params: json!({"requestId": request}),
            paused: None,
        })
    }

    /// Applies an event.
    pub fn apply(&mut self, method: &str, params: &str) -> Option<Request> {
        match method {
            "Page.frameStartedLoading" | "Page.frameStoppedLoading" => {
                let frame: FrameEvent = read(params)?;
                if frame.frame_id == self.main_frame {
                    let has_started = method == "Page.frameStartedLoading";
                    self.load.loading_since = has_started.then(Instant::now);
                }
            }
            "Page.frameNavigated" => self.navigated(read(params)?),
            "Page.domContentEventFired" => self.load.parsed_at = Some(Instant::now()),
            "Page.loadEventFired" => self.load.is_complete = true,
            "Network.responseReceived" if params.contains(r#""type":"Document""#) => {
                self.responded(read(params)?);
            }
            "Page.javascriptDialogOpening" => {
                let dialog: Dialog = read(params)?;
                // A page that asks before it is left would stop the scrape.
                return Some(Request {
                    method: "Page.handleJavaScriptDialog",
                    params: json!({"accept": dialog.kind == "beforeunload"}),
                    paused: None,
                });
            }
            "Fetch.requestPaused" => {
                let paused: PausedRequest = read(params)?;
                return Some(paused.with_headers(self.headers.as_ref()));
            }
            "Inspector.targetCrashed" => self.has_crashed = true,
            _ => {}
        }
        None
    }

    fn navigated(&mut self, event: Navigated) {
        if event.frame.id != self.main_frame {
            return;
        }
        let loader = event.frame.loader_id;
        let response = self.responses.iter().find(|(id, _)| *id == loader);
        self.document = response.map(|(_, document)| document.clone());
        self.load = Load {
            loader: Some(loader),
            loading_since: self.load.loading_since,
            ..Load::default()
        };
    }

    fn responded(&mut self, event: Responded) {
        if event.frame_id != self.main_frame {
            return;
        }
        let headers = event.response.headers.as_object();
        let content_type = headers.and_then(|headers| {
            let mut headers = headers.iter();
            headers.find_map(|(name, value)| {
                name.eq_ignore_ascii_case("content-type")
                    .then(|| value.as_str().map(str::to_owned))?
            })
        });
        let document = Document {
            status: event.response.status,
            status_text: event.response.status_text,
            mime_type: event.response.mime_type,
            content_type,
        };
        if self.load.loader.as_ref() == Some(&event.loader_id) {
            self.document = Some(document.clone());
        }
        if self.responses.len() == MAX_RESPONSES {
            self.responses.pop_front();
        }
        self.responses.push_back((event.loader_id, document));
    }
}

/// Parses params. Returns `None` if they have an unknown form.
fn read<T: DeserializeOwned>(params: &str) -> Option<T> {
    serde_json::from_str(params).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameEvent {
    frame_id: String,
}

#[derive(Deserialize)]
struct Navigated {
    frame: Frame,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    id: String,
    loader_id: String,
}

#[derive(Deserialize)]
struct Dialog {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Responded {
    loader_id: String,
    #[serde(default)]
    frame_id: String,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: u16,
    #[serde(default)]
    status_text: String,
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    headers: Value,
}
