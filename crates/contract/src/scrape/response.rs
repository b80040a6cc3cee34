//! The response to a scrape.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::response::True;

/// The response to a scrape whose page was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScrapeResponse {
    success: True,
    data: ScrapeData,
    /// The id of the scrape. Present only for requests from Firecrawl's own site.
    #[serde(skip_serializing_if = "Option::is_none")]
    scrape_id: Option<String>,
}

impl ScrapeResponse {
    /// Creates a response.
    pub fn new(data: ScrapeData, scrape_id: Option<String>) -> Self {
        Self {
            success: True,
            data,
            scrape_id,
        }
    }
}

/// The page in the requested formats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct ScrapeData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markdown: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_html: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<ActionResults>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// The results of actions, each list in the order of the actions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct ActionResults {
    pub screenshots: Vec<String>,
    pub scrapes: Vec<ScrapedPage>,
    pub javascript_returns: Vec<ScriptValue>,
    pub pdfs: Vec<String>,
}

/// A page at the time of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScrapedPage {
    /// The address.
    pub url: String,
    /// The HTML of the document.
    pub html: String,
}

/// The value that a script of an action returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptValue {
    /// The type in JavaScript: `string`, `number`, `object`, `undefined`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The value. Null if it cannot be written as JSON.
    pub value: Value,
}
