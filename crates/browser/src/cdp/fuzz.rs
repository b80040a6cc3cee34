//! Fuzz targets for single CDP messages, and for the stream of messages that the browser writes.

use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;

use hearth_budget::Budget;
use hearth_fuzz::{Result, Target, Unstructured, Vocabulary};
use serde::de::IgnoredAny;
use tokio::net::unix::pipe;
use tokio::runtime::{Builder, Runtime};

use super::envelope::{self, BrowserMessage, ClientCall};
use super::pipe::{BEGINNING_BYTES, Frame, ReadEnd, read_frames};

const CALLS: Vocabulary = Vocabulary {
    names: &[
        "id",
        "method",
        "params",
        "sessionId",
        "result",
        "error",
        "targetId",
        "url",
    ],
    strings: &[
        "Browser.close",
        "Target.attachToTarget",
        "Runtime.evaluate",
        "S1",
        "",
        "\0",
        "\"\\\n",
        "\u{1f36a}",
    ],
};

fn generate_call(random: &mut Unstructured<'_>) -> Result<String> {
    if random.ratio(1, 4)? {
        return CALLS.value(random);
    }
    let mut text = String::from("{\"id\":");
    text.push_str(random.choose(&["1", "-9999", "9223372036854775807", "1.0", "\"1\"", "null"])?);
    text.push_str(",\"method\":");
    text.push_str(random.choose(&[
        r#""Page.enable""#,
        r#""Browser\u002eclose""#,
        r#""\u0000""#,
        "7",
    ])?);
    if random.ratio(3, 4)? {
        text.push_str(",\"params\":");
        text.push_str(&CALLS.object(random)?);
    }
    if random.ratio(1, 2)? {
        text.push_str(",\"sessionId\":");
        text.push_str(&CALLS.value(random)?);
    }
    text.push('}');
    Ok(text)
}

/// Asserts that a text is JSON, at any depth.
fn assert_json(text: &str) {
    serde_json::from_str::<IgnoredAny>(text).expect("the broker writes JSON");
}

#[test]
fn a_call_is_written_as_it_was_read() {
    let target = Target {
        name: "cdp-call",
        words: &[
            "\"id\":1",
            "\"sessionId\":\"S1\"",
            "\\u0000",
            "\\ud800",
            "{}",
        ],
        inputs: 2000,
        max_bytes: 16 * 1024,
    };
    let generate = |random: &mut Unstructured<'_>| generate_call(random).map(String::into_bytes);
    target.run(generate, |input| {
        let text = String::from_utf8_lossy(input);
        let call = match ClientCall::parse(&text) {
            Ok(call) => call,
            Err(bad) => {
                assert_json(&envelope::failure(bad.id, bad.code, bad.message, None));
                return;
            }
        };
        let (session, params) = (
            call.session.as_deref(),
            call.params.map(serde_json::value::RawValue::get),
        );
        let frame = envelope::frame(7, &call.method, params, session);
        let nul = frame.iter().position(|byte| *byte == 0);
        assert_eq!(nul, Some(frame.len() - 1), "the frame ends at its only NUL");
        let written = std::str::from_utf8(&frame[..frame.len() - 1]).expect("UTF-8");
        let again = ClientCall::parse(written).expect("the browser can read it");
        assert_eq!(
            (again.id, &again.method, &again.session),
            (7, &call.method, &call.session)
        );
        assert_eq!(again.params.map(serde_json::value::RawValue::get), params);
        assert_json(&envelope::failure(Some(call.id), 0, &call.method, session));
    });
}

/// Writes `stream` in parts of `part` bytes, and lets the reader run after each.
async fn write(mut end: PipeWriter, stream: &[u8], part: usize) -> io::Result<()> {
    for part in stream.chunks(part) {
        end.write_all(part)?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Reads a stream that arrives in parts of `part` bytes, and compares it with its frames.
fn check_stream(runtime: &Runtime, stream: &[u8], part: usize, limit: u64) {
    let _entered = runtime.enter();
    let (theirs, ours) = io::pipe().expect("a pipe");
    let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(theirs)).expect("a reading end");
    let budget = Budget::new("this test", limit);
    let mut expected = stream.split(|byte| *byte == 0);
    let take = |frame: Frame<'_>| {
        let sent = expected.next().expect("no frame is invented");
        match frame {
            Frame::Whole(text) => {
                assert_eq!(text.as_bytes(), sent);
                if let Ok(message) = BrowserMessage::parse(text) {
                    assert_json(&envelope::reply(1, message.body(), None));
                    assert_json(&envelope::root_event("A.b", message.params));
                }
            }
            Frame::Oversized(beginning) => {
                assert!(sent.starts_with(beginning) && beginning.len() <= BEGINNING_BYTES);
                assert!(sent.len() as u64 > limit, "{} bytes fit", sent.len());
                if let Some(id) = envelope::leading_id(beginning) {
                    let reply = envelope::oversized_reply(id);
                    assert_eq!(BrowserMessage::parse(&reply).expect("a reply").id, Some(id));
                }
            }
        }
        assert!(budget.used() <= limit);
    };
    // Writing fails once the reader has found an invalid message.
    let (end, _) = runtime.block_on(async {
        tokio::join!(
            read_frames(reader, &budget, take),
            write(ours, stream, part)
        )
    });
    let next = expected.next();
    match end {
        // The rest after the last NUL is not a frame, unless it was already too large.
        ReadEnd::Closed => assert!(expected.next().is_none(), "{next:?} was not delivered"),
        ReadEnd::InvalidMessage(_) => {
            assert!(std::str::from_utf8(next.expect("a frame")).is_err());
        }
    }
    assert_eq!(budget.used(), 0);
}

#[test]
fn frames_of_the_browser_are_split_and_limited() {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    let target = Target {
        name: "cdp-stream",
        words: &["\0", "{\"id\":7,\"result\":{}}\0", "\u{1f36a}"],
        inputs: 300,
        max_bytes: 4096,
    };
    let generate = |random: &mut Unstructured<'_>| {
        let mut stream = vec![*random.choose(b"\x01\x07\x40\xff")?];
        for _ in 0..random.int_in_range(1..=5)? {
            stream.extend(generate_call(random)?.bytes());
            stream.push(0);
        }
        Ok(stream)
    };
    // The first byte is the size of the parts in which the rest arrives.
    target.run(generate, |input| {
        if let Some((&part, stream)) = input.split_first() {
            check_stream(&runtime, stream, usize::from(part.max(1)), 300);
        }
    });
}
