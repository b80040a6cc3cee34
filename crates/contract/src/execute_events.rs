//! The response to an execute request as server-sent events.
//!
//! Each event has one line of data, which is JSON. Output events carry the output piece by piece,
//! `result` the value of the last expression, and `end` the response.

use crate::execute_response::{ExecuteResponse, JsonPieces, PIECE_BYTES, push_escaped};

/// A comment, which clients ignore. It shows that the connection is alive.
pub const KEEP_ALIVE_COMMENT: &str = ": keep-alive\n\n";

/// The name of an output event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputEvent {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputEvent {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Returns the event with this text.
    pub fn with(self, text: &str) -> Vec<u8> {
        let name = self.as_str();
        let mut event = format!("event: {name}\ndata: {{\"text\":\"").into_bytes();
        push_escaped(&mut event, text);
        event.extend_from_slice(b"\"}\n\n");
        event
    }
}

/// The events at the end of an execution: the output that no event has carried yet, the value, and
/// the response. In pieces, each of at most 100 KB.
#[derive(Debug)]
pub struct EventPieces {
    pieces: JsonPieces,
    stderr_sent_bytes: usize,
    next: Option<Next>,
}

/// The next piece, with the offset of its text.
#[derive(Debug, Clone, Copy)]
enum Next {
    Stdout(usize),
    Stderr(usize),
    Result(usize),
    /// The end begins.
    End,
    /// The response continues.
    Response,
}

impl JsonPieces {
    /// Returns the response as events. `sent_bytes` are the sizes of the first parts of stdout and
    /// stderr that earlier events have carried.
    pub fn into_events(self, sent_bytes: [usize; 2]) -> EventPieces {
        let [stdout, stderr] = sent_bytes;
        EventPieces {
            pieces: self,
            stderr_sent_bytes: stderr,
            next: Some(Next::Stdout(stdout)),
        }
    }
}

impl EventPieces {
    fn response(&self) -> &ExecuteResponse {
        self.pieces.response()
    }
}

/// Returns the part of a text from `start`, and the offset of what follows it.
fn part(text: &str, start: usize) -> Option<(&str, usize)> {
    let end = text.floor_char_boundary(start + PIECE_BYTES);
    let part = text.get(start..end)?;
    (!part.is_empty()).then_some((part, end))
}

impl Iterator for EventPieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.next? {
                Next::Stdout(start) => match part(self.response().stdout(), start) {
                    Some((text, end)) => {
                        let event = OutputEvent::Stdout.with(text);
                        self.next = Some(Next::Stdout(end));
                        return Some(event);
                    }
                    None => self.next = Some(Next::Stderr(self.stderr_sent_bytes)),
                },
                Next::Stderr(start) => match part(self.response().stderr(), start) {
                    Some((text, end)) => {
                        let event = OutputEvent::Stderr.with(text);
                        self.next = Some(Next::Stderr(end));
                        return Some(event);
                    }
                    None => self.next = Some(Next::Result(0)),
                },
                Next::Result(start) => {
                    let Some(value) = self.response().value() else {
                        self.next = Some(Next::End);
                        continue;
                    };
                    let mut piece = Vec::new();
                    if start == 0 {
                        piece.extend_from_slice(b"event: result\ndata: {\"result\":\"");
                    }
                    let (text, end) = part(value, start).unwrap_or_default();
                    push_escaped(&mut piece, text);
                    if end < value.len() {
                        self.next = Some(Next::Result(end));
                    } else {
                        piece.extend_from_slice(b"\"}\n\n");
                        self.next = Some(Next::End);
                    }
                    return Some(piece);
                }
                Next::End => {
                    self.next = Some(Next::Response);
                    return Some(b"event: end\ndata: ".to_vec());
                }
                Next::Response => {
                    let piece = self.pieces.next();
                    if piece.is_none() {
                        self.next = None;
                    }
                    return Some(piece.unwrap_or_else(|| b"\n\n".to_vec()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute_response::ExecuteResult;

    fn events(result: ExecuteResult, sent_bytes: [usize; 2]) -> String {
        let pieces = ExecuteResponse::from_parts(result).into_json();
        let pieces: Vec<Vec<u8>> = pieces.into_events(sent_bytes).collect();
        assert!(pieces.iter().all(|piece| piece.len() < 100_000));
        String::from_utf8(pieces.concat()).expect("events are text")
    }

    #[test]
    fn the_end_carries_the_response() {
        let result = ExecuteResult {
            stdout: "a\nb\n".to_owned(),
            stderr: "é".to_owned(),
            value: Some("4\"2".to_owned()),
            ..ExecuteResult::default()
        };
        let end = r#"{"success":true,"stdout":"a\nb\n","result":"4\"2","stderr":"é","exitCode":0,"killed":false}"#;
        assert_eq!(
            events(result.clone(), [0, 0]),
            format!(
                "event: stdout\ndata: {{\"text\":\"a\\nb\\n\"}}\n\n\
                 event: stderr\ndata: {{\"text\":\"é\"}}\n\n\
                 event: result\ndata: {{\"result\":\"4\\\"2\"}}\n\n\
                 event: end\ndata: {end}\n\n"
            )
        );
        assert_eq!(
            events(result, [2, 2]),
            format!(
                "event: stdout\ndata: {{\"text\":\"b\\n\"}}\n\n\
                 event: result\ndata: {{\"result\":\"4\\\"2\"}}\n\n\
                 event: end\ndata: {end}\n\n"
            )
        );
    }

    #[test]
    fn code_without_a_value_has_no_result_event() {
        let text = events(ExecuteResult::default(), [0, 0]);
        assert!(text.starts_with("event: end\ndata: {"), "{text}");
        let value = Some(String::new());
        let text = events(
            ExecuteResult {
                value,
                ..ExecuteResult::default()
            },
            [0, 0],
        );
        let expected = "event: result\ndata: {\"result\":\"\"}\n\nevent: end\ndata: {";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn large_texts_are_sent_in_parts() {
        let long = "ä\u{1}\"\\\r\n€\u{2028}".repeat(20_000);
        let result = ExecuteResult {
            stdout: long.clone(),
            stderr: long.clone(),
            value: Some(long.clone()),
            ..ExecuteResult::default()
        };
        let text = events(result, [3, 2]);
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for event in text.split_terminator("\n\n") {
            let (name, data) = event.split_once('\n').expect("two lines");
            let data = data.strip_prefix("data: ").expect("data");
            let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
            match name {
                "event: stdout" => stdout.push_str(data["text"].as_str().expect("a text")),
                "event: stderr" => stderr.push_str(data["text"].as_str().expect("a text")),
                "event: result" => assert_eq!(data["result"], long),
                name => assert_eq!(
                    (name, &data["stdout"]),
                    ("event: end", &long.clone().into())
                ),
            }
        }
        assert_eq!((&stdout[..], &stderr[..]), (&long[3..], &long[2..]));
    }
}
