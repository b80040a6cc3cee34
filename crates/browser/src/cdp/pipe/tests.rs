//! Tests the pipes without a browser.

use std::io::{Read, Write};
use std::sync::Arc;

use nix::fcntl::FdFlag;

use super::*;

fn budget() -> Budget {
    Budget::new("this test", 100 << 20)
}

fn text(frame: Frame<'_>) -> String {
    match frame {
        Frame::Whole(text) => text.to_owned(),
        Frame::Oversized(beginning) => {
            format!("oversized: {}", String::from_utf8_lossy(beginning))
        }
    }
}

fn reading_end() -> (pipe::Receiver, io::PipeWriter) {
    let (server_end, browser_end) = io::pipe().expect("a pipe");
    (
        pipe::Receiver::from_owned_fd(OwnedFd::from(server_end)).expect("a reading end"),
        browser_end,
    )
}

fn writing_end() -> (PipeWriter, io::PipeReader) {
    let (browser_end, server_end) = io::pipe().expect("a pipe");
    (
        PipeWriter::new(
            pipe::Sender::from_owned_fd(OwnedFd::from(server_end)).expect("a writing end"),
            &budget(),
        ),
        browser_end,
    )
}

/// Rule P5.
#[tokio::test]
async fn server_ends_close_on_exec_and_are_large() {
    let pipes = open().expect("pipes");
    for end in [pipes.to_browser.as_fd(), pipes.from_browser.as_fd()] {
        let flags = fcntl(end, FcntlArg::F_GETFD).expect("flags");
        assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
        assert_eq!(fcntl(end, FcntlArg::F_GETPIPE_SZ), Ok(PIPE_BYTES));
    }
}

async fn frames_of(written: &'static [u8]) -> (Vec<String>, ReadEnd) {
    let (server_end, mut browser_end) = reading_end();
    let writing = std::thread::spawn(move || browser_end.write_all(written));
    let mut frames = Vec::new();
    let end = read_frames(server_end, &budget(), |frame| frames.push(text(frame))).await;
    writing.join().expect("no panic").expect("written");
    (frames, end)
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order() {
    let (frames, end) = frames_of(b"one\0two\0\0three\0unfinished").await;
    assert_eq!(frames, ["one", "two", "", "three"]);
    assert!(matches!(end, ReadEnd::Closed));
}

#[tokio::test]
async fn frames_larger_than_the_pipe_arrive_whole() {
    let (server_end, mut browser_end) = reading_end();
    let writing = std::thread::spawn(move || {
        let mut frame = vec![b'x'; 3_000_000];
        frame.push(0);
        browser_end.write_all(&frame)
    });
    let mut lengths = Vec::new();
    read_frames(server_end, &budget(), |frame| {
        lengths.push(text(frame).len());
    })
    .await;
    writing.join().expect("no panic").expect("written");
    assert_eq!(lengths, [3_000_000]);
}

#[tokio::test]
async fn invalid_utf8_ends_reading() {
    let (frames, end) = frames_of(b"ok\0\xff\xfe\0later\0").await;
    assert_eq!(frames, ["ok"]);
    assert!(matches!(end, ReadEnd::InvalidMessage(_)));
}

#[tokio::test]
async fn queued_frames_are_written_in_order() {
    let (writer, mut browser_end) = writing_end();
    let writer = Arc::new(writer);
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        browser_end.read_to_end(&mut all).map(|_| all)
    });
    let expected = {
        let mut expected = Vec::new();
        for number in 0..20_u8 {
            let mut frame = vec![b'a' + number; 100_000];
            frame.push(0);
            expected.extend_from_slice(&frame);
            writer.push(frame).expect("taken");
        }
        expected
    };
    let all_written = async {
        while writer.lock().bytes > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        end = writer.drain() => panic!("the drain ended: {end:?}"),
        () = all_written => {}
    }
    drop(writer);
    assert!(
        reading.join().expect("no panic").expect("read") == expected,
        "bytes were lost or moved"
    );
}

/// Rule P3.
#[tokio::test]
async fn frames_beyond_the_budget_are_rejected() {
    let (writer, _theirs) = writing_end();
    let mut large = vec![b'x'; 90 << 20];
    large.push(0);
    assert_eq!(writer.push(large.clone()), Ok(()));
    assert_eq!(writer.push(large), Err(PushError::Full));
    assert_eq!(writer.push(b"small\0".to_vec()), Ok(()));
}

#[tokio::test]
async fn a_frame_beyond_the_budget_is_skipped() {
    let (server_end, mut browser_end) = reading_end();
    let writing = std::thread::spawn(move || {
        browser_end.write_all(b"first\0{\"id\":7,\"result\":\"")?;
        browser_end.write_all(&vec![b'x'; 1_000_000])?;
        browser_end.write_all(b"\"}\0last\0")
    });
    let budget = Budget::new("this test", 200_000);
    let mut frames = Vec::new();
    read_frames(server_end, &budget, |frame| frames.push(text(frame))).await;
    writing.join().expect("no panic").expect("written");
    assert_eq!(frames.len(), 3, "{frames:?}");
    assert!(frames[1].starts_with("oversized: {\"id\":7,"), "{frames:?}");
    assert_eq!((frames[0].as_str(), frames[2].as_str()), ("first", "last"));
    assert_eq!(budget.used(), 0);
}

/// Rule P3.
#[tokio::test]
async fn writable_returns_after_the_browser_has_read() {
    let (writer, mut browser_end) = writing_end();
    writer.writable().await;
    let mut large = vec![b'x'; BACKPRESSURE_BYTES + 1];
    large.push(0);
    writer.push(large).expect("taken");
    writer.push(b"own\0".to_vec()).expect("the frame is queued");
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        browser_end.read_to_end(&mut all).map(|_| all.len())
    });
    tokio::select! {
        end = writer.drain() => panic!("the drain ended: {end:?}"),
        () = writer.writable() => {}
    }
    assert!(writer.lock().bytes <= BACKPRESSURE_BYTES);
    drop(writer);
    assert!(reading.join().expect("no panic").expect("read") > BACKPRESSURE_BYTES);
}

/// Rule P3.
#[tokio::test]
async fn closed_pipe_always_has_room() {
    let (writer, _theirs) = writing_end();
    let mut large = vec![b'x'; BACKPRESSURE_BYTES + 1];
    large.push(0);
    writer.push(large).expect("taken");
    let closing = async { writer.close() };
    tokio::join!(writer.writable(), closing);
}

/// Rule P2.
#[tokio::test(start_paused = true)]
async fn browser_that_reads_nothing_is_stuck() {
    let (writer, _theirs) = writing_end();
    let mut large = vec![b'x'; 2_000_000];
    large.push(0);
    writer.push(large).expect("taken");
    assert!(writer.drain().await.is_err());
}

#[tokio::test]
async fn closed_pipe_rejects_frames() {
    let (writer, browser_end) = writing_end();
    drop(browser_end);
    // The first write may be queued until the runtime has registered the pipe.
    let _ = writer.push(b"x\0".to_vec());
    let _ = tokio::time::timeout(Duration::from_secs(5), writer.drain())
        .await
        .expect("it ends");
    assert_eq!(writer.push(b"y\0".to_vec()), Err(PushError::Closed));
}
