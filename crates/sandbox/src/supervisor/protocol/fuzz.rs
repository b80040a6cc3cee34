//! Fuzz targets for messages to a shim, to the server and to the privileged process.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use hearth_fuzz::{Result as Generated, Target, Unstructured, Vocabulary};
use tokio::runtime::Builder;

use super::*;
use crate::files::task::TaskReply;
use crate::policy::user::SandboxUser;
use crate::supervisor::fd_passing::{receive_with_fds, send_with_fds};
use crate::supervisor::process_tree::next_event;
use crate::supervisor::spawner::Request;

const MESSAGES: Vocabulary = Vocabulary {
    names: &[
        "Prepare",
        "FileTask",
        "EmptyDirs",
        "RefillDir",
        "MeasureDirs",
        "UnpackDir",
        "OpenFile",
        "PlacePart",
        "ListDir",
        "path",
        "part",
        "dir",
        "dirs",
        "pids",
        "max",
        "max_bytes",
        "private_tmp",
        "open_files",
        "policy",
        "program",
        "args",
        "env",
        "cwd",
        "fd_numbers",
        "deadline_ms",
        "Done",
        "Failed",
        "Damaged",
    ],
    strings: &["/bin/true", "/", "a=b", "", "\0", "\u{1f36a}"],
};

/// Sends `stream` with `fds` descriptors, and receives one message as a shim does.
fn receive<M: DeserializeOwned>(stream: &[u8], fds: usize) -> io::Result<M> {
    let (mut server, shim) = UnixStream::pair().expect("a pair");
    let null = File::open("/dev/null").expect("opened");
    let (length, rest) = stream.split_at(stream.len().min(4));
    send_with_fds(&server, length, &vec![null.as_raw_fd(); fds])?;
    server.write_all(rest)?;
    drop(server);
    let mut length = [0; 4];
    let (count, received) = receive_with_fds(&shim, &mut length)?;
    assert_eq!(received.len(), fds, "each descriptor has one owner");
    if count < 4 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    read_message(&mut &shim, length)
}

/// Asserts that a message that was accepted can be sent again.
fn assert_round_trip<M: Serialize + DeserializeOwned>(message: &M) {
    let json = serde_json::to_vec(message).expect("messages are JSON");
    let again: M = serde_json::from_slice(&json).expect("it was written by this protocol");
    assert_eq!(serde_json::to_vec(&again).expect("messages are JSON"), json);
}

#[test]
fn messages_to_a_shim_are_complete_or_rejected() {
    let target = Target {
        name: "shim-messages",
        words: &[
            "\"FileTask\":",
            "\"Prepare\":{",
            "\"program\":\"/\"",
            "null",
            "\0\0\0\0",
        ],
        inputs: 2000,
        max_bytes: 4096,
    };
    let generate = |random: &mut Unstructured<'_>| {
        let message = MESSAGES.object(random)?;
        let length = if random.ratio(1, 8)? {
            *random.choose(&[0, 1, u32::MAX])?
        } else {
            u32::try_from(message.len()).unwrap_or(u32::MAX)
        };
        Ok([&length.to_ne_bytes(), message.as_bytes()].concat())
    };
    target.run(generate, |input| {
        if input.is_empty() {
            return;
        }
        let fds = input.len() % 4;
        if let Ok(command) = receive::<ShimCommand>(input, fds) {
            assert_round_trip(&command);
        }
        if let Ok(request) = receive::<ExecRequest>(input, fds) {
            assert_round_trip(&request);
        }
    });
}

fn generate_reply(random: &mut Unstructured<'_>) -> Generated<Vec<u8>> {
    let mut bytes = Vec::new();
    for _ in 0..random.int_in_range(1..=4)? {
        bytes.push(*random.choose(b"SNCGLAKBx")?);
        bytes.extend(
            random
                .choose(&[0, 1, -1, i32::MAX, i32::MIN])?
                .to_ne_bytes(),
        );
    }
    if random.ratio(1, 3)? {
        bytes = MESSAGES.object(random)?.into_bytes();
    }
    Ok(bytes)
}

#[test]
fn replies_and_requests_are_complete_or_rejected() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let target = Target {
        name: "shim-replies",
        words: &["S\0\0\0\0", "\"Failed\":1", "\"Damaged\":\"", "CC\0\0"],
        inputs: 5000,
        max_bytes: 4096,
    };
    target.run(generate_reply, |input| {
        let mut events = input;
        let mut expected = input.chunks_exact(EVENT_BYTES);
        while let Ok(event) = runtime.block_on(next_event(&mut events)) {
            let mut sent = expected.next().expect("an event is complete").to_vec();
            if matches!(event, Event::Ended(Exit::Lost) | Event::AllEnded) {
                // No number belongs to it.
                sent[1..].fill(0);
            }
            assert_eq!(event.encode()[..], sent);
        }
        if let Ok(report) = TaskReply::decode(input) {
            let reply = TaskReply::new(Ok(report.clone()));
            assert_eq!(TaskReply::decode(&reply.encode()).ok(), Some(report));
        }
        let (mut server, monitor) = UnixStream::pair().expect("a pair");
        server.write_all(input).expect("it fits into the socket");
        drop(server);
        while let Ok(Request { kind: _, user, fds }) = Request::receive(&monitor) {
            assert!(fds.is_empty());
            assert_eq!(SandboxUser::decode(user.encode()), Some(user));
        }
    });
}
