//! A fuzz target for the messages of kernels.

use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;

use hearth_fuzz::{Result as Generated, Target, Unstructured, Vocabulary};
use tokio::runtime::{Builder, Runtime};

use super::*;

/// The maximum length of a message.
const LIMIT_BYTES: usize = 300;

/// A budget that no input exhausts.
const LARGE_BUDGET_BYTES: u64 = 16 * 1024;

/// A budget that a message at the limit exhausts.
const SMALL_BUDGET_BYTES: u64 = 200;

const REPLIES: Vocabulary = Vocabulary {
    names: &[
        "op",
        "id",
        "value",
        "error",
        "truncated",
        "message",
        "calls",
    ],
    strings: &[
        "ready",
        "started",
        "pending",
        "done",
        "failed",
        "",
        "\0",
        "\u{1f36a}",
    ],
};

fn generate_reply(random: &mut Unstructured<'_>) -> Generated<String> {
    Ok(match random.int_in_range(0..=5)? {
        0 => r#"{"op":"ready"}"#.to_owned(),
        1 => r#"{"op":"started","id":1}"#.to_owned(),
        2 => r#"{"op":"failed","id":18446744073709551615,"message":"no"}"#.to_owned(),
        3 => format!(
            r#"{{"op":"done","id":1,"value":{},"error":{},"truncated":false}}"#,
            REPLIES.value(random)?,
            REPLIES.value(random)?
        ),
        _ => REPLIES.value(random)?,
    })
}

fn generate(random: &mut Unstructured<'_>) -> Generated<Vec<u8>> {
    let mut stream = vec![*random.choose(b"\x01\x03\x40\xff")?];
    for _ in 0..random.int_in_range(1..=6)? {
        let reply = generate_reply(random)?;
        let length = match random.int_in_range(0..=15)? {
            0 => u32::MAX,
            1 => 0,
            2 => 301,
            _ => u32::try_from(reply.len()).unwrap_or(u32::MAX),
        };
        stream.extend(length.to_be_bytes());
        stream.extend(reply.bytes());
    }
    Ok(stream)
}

/// Writes `stream` in parts of `part` bytes, and lets the reader run after each.
async fn write(mut end: PipeWriter, stream: &[u8], part: usize) -> io::Result<()> {
    for part in stream.chunks(part) {
        end.write_all(part)?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Returns all replies of a stream that arrives at once, and whether its end is valid.
fn replies_of(stream: &[u8]) -> (Vec<Reply>, bool) {
    let mut buffer = BytesMut::from(stream);
    let mut replies = Vec::new();
    loop {
        match take_reply(&mut buffer, LIMIT_BYTES) {
            Ok(Some(reply)) => replies.push(reply),
            end => return (replies, end.is_ok()),
        }
    }
}

/// Reads all replies and the error at the end. Keeps the reservation of every second reply, as for
/// the result of a run.
async fn read(reader: &mut ReplyReader, budget: &Budget) -> (Vec<Reply>, FrameError) {
    let mut replies = Vec::new();
    loop {
        match reader.next().await {
            Ok(reply) => replies.push(reply),
            Err(error) => return (replies, error),
        }
        assert!(reader.last_bytes <= LIMIT_BYTES + 4);
        let max = (reader.last_bytes + reader.buffer.len()) as u64;
        assert!(budget.used() <= max, "{} > {max}", budget.used());
        if replies.len().is_multiple_of(2) {
            assert!(reader.take_reserved().bytes() <= max);
        }
    }
}

/// Reads a stream that arrives in parts of `part` bytes.
fn read_stream(
    runtime: &Runtime,
    stream: &[u8],
    part: usize,
    limit: u64,
) -> (Vec<Reply>, FrameError) {
    let _entered = runtime.enter();
    let (ours, theirs) = io::pipe().expect("a pipe");
    let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(ours)).expect("a reading end");
    let budget = Budget::new("this test", limit);
    let mut reader = ReplyReader::new(pipe, &budget);
    reader.limit_bytes = LIMIT_BYTES;
    let writing = async {
        write(theirs, stream, part)
            .await
            .expect("the reader is open");
        std::future::pending::<()>().await;
    };
    let end = runtime.block_on(async {
        tokio::select! {
            end = read(&mut reader, &budget) => end,
            () = writing => unreachable!("it never ends"),
        }
    });
    assert!(budget.used() <= limit);
    drop(reader);
    assert_eq!(budget.used(), 0);
    end
}

#[test]
fn replies_are_complete_and_limited_however_their_bytes_arrive() {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    let target = Target {
        name: "kernel-replies",
        words: &[
            "\0\0\0\x0e{\"op\":\"ready\"}",
            "\0\0\0\0",
            "\"id\":1",
            "null",
        ],
        inputs: 1000,
        max_bytes: 4096,
    };
    // The first byte is the size of the parts in which the rest arrives.
    target.run(generate, |input| {
        let Some((&part, stream)) = input.split_first() else {
            return;
        };
        let part = usize::from(part.max(1));
        let (expected, is_valid) = replies_of(stream);
        let (replies, error) = read_stream(&runtime, stream, part, LARGE_BUDGET_BYTES);
        assert_eq!(replies, expected);
        match error {
            FrameError::Closed => assert!(is_valid, "an invalid message was skipped"),
            FrameError::TooLong(length) => assert!(length > LIMIT_BYTES && !is_valid),
            FrameError::Malformed => assert!(!is_valid),
            FrameError::Exhausted(_) => panic!("the budget is larger than the stream"),
        }
        let (replies, _) = read_stream(&runtime, stream, part, SMALL_BUDGET_BYTES);
        assert!(expected.starts_with(&replies));
    });
}

#[test]
fn code_arrives_at_the_kernel_unchanged() {
    let target = Target {
        name: "kernel-code",
        words: &["\\", "\"", "\0", "\u{2028}", "\u{1f36a}", "\r\n"],
        inputs: 1000,
        max_bytes: 4096,
    };
    let generate = |random: &mut Unstructured<'_>| Ok(REPLIES.value(random)?.into_bytes());
    target.run(generate, |input| {
        let code = String::from_utf8_lossy(input);
        let request = Request::Run {
            id: 1,
            endpoint: &code,
            code: &code,
            target: Some(&code),
            limit: usize::MAX,
            left_ms: u64::MAX,
        };
        let frame = request.encode();
        let (prefix, json) = frame.split_first_chunk::<4>().expect("it has a length");
        assert_eq!(u32::from_be_bytes(*prefix) as usize, json.len());
        let sent: serde_json::Value = serde_json::from_slice(json).expect("it is JSON");
        assert_eq!(
            (&sent["code"], &sent["target"]),
            (&(*code).into(), &(*code).into())
        );
    });
}
