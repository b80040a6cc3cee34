//! The envelope of a CDP message: id, method, session, and the params or result as raw JSON.
//!
//! Parsing is strict, and every outgoing message is written from the parsed parts, so that no byte
//! of a client's envelope reaches the browser. Pure.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The JSON-RPC error code for malformed JSON.
pub(crate) const PARSE_ERROR: i32 = -32700;
/// The JSON-RPC error code for a message that is not a valid call.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// Chromium's code for calls that a target or the browser rejects.
pub(crate) const DENIED: i32 = -32000;
/// Chromium's code for an unknown session.
pub(crate) const NO_SESSION: i32 = -32001;

/// The maximum nesting depth of params. Chromium's parser gives up at 300 levels and then replies
/// without an id. The envelope takes two levels.
const MAX_DEPTH: usize = 290;

/// A call from a client.
#[derive(Debug)]
pub(crate) struct ClientCall<'a> {
    /// Any integer. Negative and duplicate ids are legal (Playwright sends -9999 over and over).
    pub(crate) id: i64,
    /// Unescaped, so that `Browser\u002eclose` is recognized.
    pub(crate) method: Cow<'a, str>,
    /// `None` if the member is missing, null or empty.
    pub(crate) session: Option<Cow<'a, str>>,
    /// A JSON object.
    pub(crate) params: Option<&'a RawValue>,
}

/// The reason why a client's message is not a valid call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadCall {
    /// The id for the reply, if it could be parsed.
    pub(crate) id: Option<i64>,
    pub(crate) code: i32,
    pub(crate) message: &'static str,
}

#[derive(Deserialize)]
struct RawCall<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow, rename = "sessionId")]
    session: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> ClientCall<'a> {
    /// Parses one WebSocket message. Serde rejects duplicate members, raw control characters in
    /// strings (including NUL, which would end the frame), and anything after the object.
    pub(crate) fn parse(text: &'a str) -> Result<ClientCall<'a>, BadCall> {
        if !text.trim_ascii_start().starts_with('{') {
            // Serde would accept an array as a struct.
            return Err(BadCall {
                id: None,
                code: PARSE_ERROR,
                message: "Message must be a JSON object",
            });
        }
        let raw: RawCall<'a> = serde_json::from_str(text).map_err(|error| {
            let (code, message) = if error.is_data() {
                (INVALID_REQUEST, "Message has a duplicate member")
            } else {
                (PARSE_ERROR, "Message must be valid JSON")
            };
            BadCall {
                id: None,
                code,
                message,
            }
        })?;
        let id = raw.id.and_then(|id| id.get().parse().ok());
        let invalid = |message| BadCall {
            id,
            code: INVALID_REQUEST,
            message,
        };
        let read =
            |raw: &'a RawValue| serde_json::from_str::<Text<'a>>(raw.get()).map(|text| text.0);
        let id = id.ok_or_else(|| invalid("Message must have integer 'id' property"))?;
        let method = raw
            .method
            .and_then(|method| read(method).ok())
            .ok_or_else(|| invalid("Message must have string 'method' property"))?;
        let session = raw
            .session
            .map(read)
            .transpose()
            .map_err(|_| invalid("Message may have string 'sessionId' property"))?
            .filter(|session| !session.is_empty());
        if raw
            .params
            .is_some_and(|params| !params.get().starts_with('{'))
        {
            return Err(invalid("Message may have object 'params' property"));
        }
        if raw.params.is_some_and(|params| is_too_deep(params.get())) {
            return Err(invalid("Message is nested too deeply"));
        }
        Ok(ClientCall {
            id,
            method,
            session,
            params: raw.params,
        })
    }
}

/// Returns true if `json`, which must be valid, has more than [`MAX_DEPTH`] levels.
fn is_too_deep(json: &str) -> bool {
    let bytes = json.as_bytes();
    // This fast path covers most messages and compiles to a few wide instructions.
    if bytes
        .iter()
        .filter(|&&byte| byte == b'{' || byte == b'[')
        .count()
        <= MAX_DEPTH
    {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// A message from the browser: a reply if it has an `id`, an event if it has a `method`.
#[derive(Debug, Deserialize)]
pub(crate) struct BrowserMessage<'a> {
    pub(crate) id: Option<i32>,
    #[serde(borrow)]
    pub(crate) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow, rename = "sessionId")]
    pub(crate) session: Option<Cow<'a, str>>,
}

impl<'a> BrowserMessage<'a> {
    pub(crate) fn parse(frame: &'a str) -> Result<BrowserMessage<'a>, serde_json::Error> {
        serde_json::from_str(frame)
    }

    /// Returns the body of a reply.
    pub(crate) fn body(&self) -> ReplyBody<'a> {
        match self.error {
            Some(error) => ReplyBody::Error(error),
            None => ReplyBody::Result(self.result),
        }
    }
}

/// The body of a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplyBody<'a> {
    Result(Option<&'a RawValue>),
    Error(&'a RawValue),
}

/// The space reserved for the envelope around the params or result.
const ENVELOPE_BYTES: usize = 128;

/// Builds a frame for the browser, with its final NUL.
pub(crate) fn frame(id: i32, method: &str, params: Option<&str>, session: Option<&str>) -> Vec<u8> {
    frame_around(id, method, params.map(Cow::Borrowed), session)
}

/// Builds a frame in the memory of the params if they are owned, because they can have 80 MiB.
pub(crate) fn frame_around(
    id: i32,
    method: &str,
    params: Option<Cow<'_, str>>,
    session: Option<&str>,
) -> Vec<u8> {
    let mut out = String::with_capacity(ENVELOPE_BYTES + method.len());
    out.push_str("{\"id\":");
    out.push_str(&id.to_string());
    out.push_str(",\"method\":");
    push_string(&mut out, method);
    if let Some(params) = params {
        out.push_str(",\"params\":");
        if let Cow::Owned(mut params) = params {
            params.insert_str(0, &out);
            out = params;
        } else {
            out.reserve_exact(params.len() + ENVELOPE_BYTES);
            out.push_str(&params);
        }
    }
    push_session(&mut out, session);
    out.push_str("}\0");
    out.into_bytes()
}

/// Builds a reply for a client, with the client's id and session.
pub(crate) fn reply(id: i64, answer: ReplyBody<'_>, session: Option<&str>) -> String {
    let (name, content) = match answer {
        ReplyBody::Result(result) => ("result", result.map_or("{}", RawValue::get)),
        ReplyBody::Error(error) => ("error", error.get()),
    };
    let mut out = String::with_capacity(ENVELOPE_BYTES + content.len());
    out.push_str("{\"id\":");
    out.push_str(&id.to_string());
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    out.push_str(content);
    push_session(&mut out, session);
    out.push('}');
    out
}

/// Builds an error reply of the broker.
pub(crate) fn failure(id: Option<i64>, code: i32, message: &str, session: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Failure<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<i64>,
        error: Reason<'a>,
        #[serde(rename = "sessionId", skip_serializing_if = "Option::is_none")]
        session: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Reason<'a> {
        code: i32,
        message: &'a str,
    }
    serde_json::to_string(&Failure {
        id,
        error: Reason { code, message },
        session,
    })
    .expect("numbers and strings are always JSON")
}

/// Builds an event of a client's root session, without a session, because clients do not know its
/// id.
pub(crate) fn root_event(method: &str, params: Option<&RawValue>) -> String {
    let params = params.map_or("{}", RawValue::get);
    let mut out = String::with_capacity(ENVELOPE_BYTES + params.len());
    out.push_str("{\"method\":");
    push_string(&mut out, method);
    out.push_str(",\"params\":");
    out.push_str(params);
    out.push('}');
    out
}

fn push_session(out: &mut String, session: Option<&str>) {
    if let Some(session) = session {
        out.push_str(",\"sessionId\":");
        push_string(out, session);
    }
}

/// Writes a JSON string. Method names and session ids hardly ever need escaping.
fn push_string(out: &mut String, text: &str) {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-' || byte == b'_')
    {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
    }
}

/// Returns the id of a reply from its first bytes. Chromium writes the id first.
pub(crate) fn leading_id(beginning: &[u8]) -> Option<i32> {
    let rest = beginning.strip_prefix(b"{\"id\":")?;
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..length]).ok()?.parse().ok()
}

/// Returns the reply of a browser whose result was too large.
pub(crate) fn oversized_reply(id: i32) -> String {
    serde_json::json!({
        "id": id,
        "error": {
            "code": DENIED,
            "message": "the result does not fit into the session's buffers (HEARTH_SESSION_BUFFER_MB)",
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_call(text: &str) -> (Option<i64>, i32) {
        let bad = ClientCall::parse(text).expect_err(text);
        (bad.id, bad.code)
    }

    #[test]
    fn a_call_is_read_whole() {
        let call = ClientCall::parse(
            r#" {"id":-9999,"method":"A.b","params":{"x":[1]},"sessionId":"S"} "#,
        )
        .expect("a call");
        assert_eq!(
            (call.id, &*call.method, call.session.as_deref()),
            (-9999, "A.b", Some("S"))
        );
        assert_eq!(call.params.map(RawValue::get), Some(r#"{"x":[1]}"#));
    }

    /// Rule M1: with any escapes.
    #[test]
    fn method_is_unescaped() {
        let call = ClientCall::parse(r#"{"id":1,"method":"Browser\u002eclose"}"#).expect("a call");
        assert_eq!(call.method, "Browser.close");
    }

    #[test]
    fn missing_null_and_empty_sessions_are_equal() {
        for text in [
            r#"{"id":1,"method":"A.b"}"#,
            r#"{"id":1,"method":"A.b","sessionId":null}"#,
            r#"{"id":1,"method":"A.b","sessionId":""}"#,
        ] {
            assert_eq!(ClientCall::parse(text).expect("a call").session, None);
        }
    }

    #[test]
    fn non_objects_are_parse_errors() {
        for text in [
            "",
            "x",
            "[1,\"Browser.close\",\"S\",{}]",
            "{\"id\":1",
            "{\"id\":1} x",
            "\u{0}{}",
        ] {
            assert_eq!(bad_call(text), (None, PARSE_ERROR), "{text}");
        }
    }

    /// Rule P4.
    #[test]
    fn nul_is_rejected_in_strings_and_between_tokens() {
        for text in [
            "{\"id\":1,\"method\":\"A.b\u{0}\"}",
            "{\"id\":1,\"method\":\"A.b\",\"params\":{\"x\":\"\u{0}\"}}",
            "{\"id\":1,\u{0}\"method\":\"A.b\"}",
            "{\"id\":1,\"method\":\"A.b\",\"params\":{}\u{0}}",
        ] {
            assert_eq!(bad_call(text), (None, PARSE_ERROR), "{text:?}");
        }
    }

    /// Rules P4, I3.
    #[test]
    fn duplicate_members_are_rejected() {
        for text in [
            r#"{"id":1,"method":"A.b","method":"Browser.close"}"#,
            r#"{"id":1,"id":2,"method":"A.b"}"#,
            r#"{"id":1,"method":"A.b","sessionId":"S","session\u0049d":"T"}"#,
        ] {
            assert_eq!(bad_call(text), (None, INVALID_REQUEST), "{text}");
        }
    }

    /// Rule I3.
    #[test]
    fn ids_are_integers() {
        for id in ["\"1\"", "1.5", "1e3", "null", "{}", "99999999999999999999"] {
            assert_eq!(
                bad_call(&format!(r#"{{"id":{id},"method":"A.b"}}"#)),
                (None, INVALID_REQUEST),
                "{id}"
            );
        }
        assert_eq!(bad_call(r#"{"method":"A.b"}"#), (None, INVALID_REQUEST));
    }

    #[test]
    fn members_have_fixed_types_and_errors_carry_the_id() {
        for rest in [
            r#""method":5"#,
            r#""x":1"#,
            r#""method":"A.b","sessionId":5"#,
            r#""method":"A.b","params":[]"#,
        ] {
            assert_eq!(
                bad_call(&format!(r#"{{"id":7,{rest}}}"#)),
                (Some(7), INVALID_REQUEST),
                "{rest}"
            );
        }
    }

    /// Rule P4.
    #[test]
    fn too_deep_nesting_is_rejected() {
        let nested = |levels: usize| {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"id":7,"method":"A.b","params":{{"s":"\"[","x":{text}}}}}"#)
        };
        assert!(ClientCall::parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(bad_call(&nested(MAX_DEPTH)), (Some(7), INVALID_REQUEST));
        let wide = format!(
            r#"{{"id":7,"method":"A.b","params":{{"x":[{}[]]}}}}"#,
            "[],".repeat(1000)
        );
        assert!(ClientCall::parse(&wide).is_ok());
    }

    /// Rule P4.
    #[test]
    fn frame_has_four_members_and_a_final_nul() {
        let frame = frame(5, "A.b\"\n", Some(r#"{"x":1}"#), Some("S"));
        assert_eq!(
            frame,
            b"{\"id\":5,\"method\":\"A.b\\\"\\n\",\"params\":{\"x\":1},\"sessionId\":\"S\"}\0"
        );
        assert_eq!(
            super::frame(5, "A.b", None, None),
            b"{\"id\":5,\"method\":\"A.b\"}\0"
        );
        let owned = Some(Cow::Owned(r#"{"x":1}"#.to_owned()));
        assert_eq!(frame_around(5, "A.b\"\n", owned, Some("S")), frame);
    }

    #[test]
    fn reply_carries_the_clients_id_and_session() {
        let message = BrowserMessage::parse(r#"{"id":5,"result":{"a":"\u0000"},"sessionId":"X"}"#)
            .expect("a reply");
        assert_eq!(
            reply(-1, message.body(), Some("S")),
            r#"{"id":-1,"result":{"a":"\u0000"},"sessionId":"S"}"#
        );
        let message = BrowserMessage::parse(r#"{"id":5,"error":{"code":-32001,"message":"m"}}"#)
            .expect("a reply");
        assert_eq!(
            reply(3, message.body(), None),
            r#"{"id":3,"error":{"code":-32001,"message":"m"}}"#
        );
    }

    #[test]
    fn failure_may_have_no_id() {
        assert_eq!(
            failure(None, PARSE_ERROR, "m", None),
            r#"{"error":{"code":-32700,"message":"m"}}"#
        );
        assert_eq!(
            failure(Some(1), NO_SESSION, "m", Some("S")),
            r#"{"id":1,"error":{"code":-32001,"message":"m"},"sessionId":"S"}"#
        );
    }
}
