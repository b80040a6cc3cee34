//! Finds the id of a scrape in Firecrawl's response, and adds one if it is missing.
//!
//! Everything else keeps its bytes: the response is not parsed into values and written again.

use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

#[derive(Deserialize)]
struct Answer<'a> {
    success: bool,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default, deserialize_with = "present", rename = "scrapeId")]
    scrape_id: Option<&'a RawValue>,
}

/// Reads a member that exists, even if it is `null`.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// The id of a scrape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ScrapeId {
    pub id: Uuid,
    /// The change that adds the id to a response without one.
    pub change: Option<Change>,
}

/// A part of a response, and the text that replaces it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub range: Range<usize>,
    pub text: String,
}

/// Returns the id of a scrape that succeeded. Uses `fresh` if the response has no id that is a
/// UUID. Returns `None` for other responses.
pub(super) fn scrape_id(response: &[u8], fresh: Uuid) -> Option<ScrapeId> {
    let answer: Answer = serde_json::from_slice(response).ok()?;
    if !answer.success || !is_object(answer.data) {
        return None;
    }
    let data: Data = serde_json::from_str(answer.data.get()).ok()?;
    let member = format!("\"scrapeId\":\"{fresh}\"");
    let change = match data.metadata {
        None => append(response, answer.data, &format!("\"metadata\":{{{member}}}")),
        Some(metadata) if is_object(metadata) => {
            let found: Metadata = serde_json::from_str(metadata.get()).ok()?;
            match found.scrape_id {
                None => append(response, metadata, &member),
                Some(text) => match parse_id(text) {
                    Some(id) => {
                        return Some(ScrapeId { id, change: None });
                    }
                    None => replace(response, text, &format!("\"{fresh}\"")),
                },
            }
        }
        Some(other) => replace(response, other, &format!("{{{member}}}")),
    };
    Some(ScrapeId {
        id: fresh,
        change: Some(change),
    })
}

fn parse_id(value: &RawValue) -> Option<Uuid> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    Uuid::parse_str(&text).ok()
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// Adds a member to the end of an object.
fn append(response: &[u8], object: &RawValue, member: &str) -> Change {
    let end = offset(response, object) + object.get().len() - 1;
    let inner = object.get()[1..].trim_end_matches('}');
    let comma = if inner.trim().is_empty() { "" } else { "," };
    Change {
        range: end..end,
        text: format!("{comma}{member}"),
    }
}

/// Replaces a value.
fn replace(response: &[u8], value: &RawValue, text: &str) -> Change {
    let start = offset(response, value);
    Change {
        range: start..start + value.get().len(),
        text: text.to_owned(),
    }
}

/// Returns the position of a value that borrows from the response.
fn offset(response: &[u8], value: &RawValue) -> usize {
    value.get().as_ptr().addr() - response.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
    const FRESH_TEXT: &str = "01920000-0000-7000-8000-000000000001";

    fn found(response: &str) -> Option<(String, Option<String>)> {
        let found = scrape_id(response.as_bytes(), FRESH)?;
        let changed = |Change { range, text }: Change| {
            let mut changed = response.to_owned();
            changed.replace_range(range, &text);
            changed
        };
        Some((found.id.to_string(), found.change.map(changed)))
    }

    #[test]
    fn an_id_is_found_and_the_response_stays() {
        let id = "0199a2d1-1c1f-7d01-a5a0-2f7f6a7ef0c1";
        for response in [
            format!(r#"{{"success":true,"data":{{"metadata":{{"scrapeId":"{id}"}}}}}}"#),
            format!(
                r#" {{"data" : {{ "markdown":"{{\"scrapeId\":1}}", "metadata": {{"a":[1], "scrapeId": "{}" , "b":null}} }}, "success":true }}"#,
                id.to_uppercase()
            ),
        ] {
            assert_eq!(found(&response), Some((id.to_owned(), None)), "{response}");
        }
    }

    #[test]
    fn a_missing_id_is_added_and_nothing_else_changes() {
        for (response, expected) in [
            (
                r#"{"success":true,"data":{"markdown":"é\ud83d","metadata":{"a":1.50}}}"#,
                r#"{"success":true,"data":{"markdown":"é\ud83d","metadata":{"a":1.50,"scrapeId":"ID"}}}"#,
            ),
            (
                r#"{"success":true,"data":{"metadata":{ }}}"#,
                r#"{"success":true,"data":{"metadata":{ "scrapeId":"ID"}}}"#,
            ),
            (
                r#"{"success":true,"data":{"metadata":{"a":{}}}}"#,
                r#"{"success":true,"data":{"metadata":{"a":{},"scrapeId":"ID"}}}"#,
            ),
            (
                r#"{"success":true,"data":{"metadata":{"scrapeId":"job-7","b":2}}}"#,
                r#"{"success":true,"data":{"metadata":{"scrapeId":"ID","b":2}}}"#,
            ),
            (
                r#"{"success":true,"data":{"metadata":{"scrapeId":null}}}"#,
                r#"{"success":true,"data":{"metadata":{"scrapeId":"ID"}}}"#,
            ),
            (
                r#"{"success":true,"data":{"metadata":null,"x":0}}"#,
                r#"{"success":true,"data":{"metadata":{"scrapeId":"ID"},"x":0}}"#,
            ),
            (
                r#"{"data":{},"success":true}"#,
                r#"{"data":{"metadata":{"scrapeId":"ID"}},"success":true}"#,
            ),
        ] {
            let expected = expected.replace("ID", FRESH_TEXT);
            assert_eq!(
                found(response),
                Some((FRESH_TEXT.to_owned(), Some(expected))),
                "{response}"
            );
        }
    }

    #[test]
    fn other_responses_have_no_id() {
        for response in [
            "",
            "[]",
            "<html>",
            r#"{"success":false,"data":{"metadata":{}}}"#,
            r#"{"success":"true","data":{}}"#,
            r#"{"success":true}"#,
            r#"{"success":true,"data":[]}"#,
            r#"{"success":true,"data":null}"#,
            r#"{"success":true,"data":{"#,
        ] {
            assert_eq!(found(response), None, "{response}");
        }
    }
}
