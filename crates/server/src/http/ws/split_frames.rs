//! Splits the large frames of a client.
//!
//! tungstenite reserves memory for a whole frame, and keeps it until the connection ends. A CDP
//! message can have 80 MiB, and most clients send it as one frame. Therefore tungstenite reads the
//! bytes of a large frame as several frames: here, each part gets the head of a fragment.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};

/// The maximum size of a head, with a length of eight bytes and a mask.
const MAX_HEAD_BYTES: usize = 14;

/// The size of the buffer for heads and small frames. It is not counted in a budget.
const BUFFER_BYTES: usize = 16 * 1024;

/// The bit of a head's first byte for the last frame of a message.
const IS_LAST: u8 = 0x80;

/// The bit of a head's second byte for a mask, and the values of the others for a longer length.
const HAS_MASK: u8 = 0x80;
const LENGTH_OF_TWO_BYTES: u8 = 126;
const LENGTH_OF_EIGHT_BYTES: u8 = 127;

/// The place of a length of eight bytes.
const LENGTH: Range<usize> = 2..10;

/// The sizes of frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameLimits {
    /// The maximum size of a part. It is a multiple of four, the size of a mask.
    pub part_bytes: u64,
    /// The size above which a frame is not split, because the reader rejects it.
    pub frame_bytes: u64,
}

/// A stream in which no frame is larger than a part.
#[derive(Debug)]
pub(crate) struct SplitFrames<S> {
    stream: BufReader<S>,
    limits: FrameLimits,
    /// The head that is being read or passed on.
    head: [u8; MAX_HEAD_BYTES],
    /// The bytes of `head`.
    filled: usize,
    /// The bytes of `head` that were passed on.
    passed: usize,
    /// True if `head` has all its bytes, and some must still be passed on.
    is_complete: bool,
    /// The bytes of the payload until the next head.
    part: u64,
    /// The bytes of the frame after `part`.
    rest: u64,
    /// `IS_LAST` if the frame ends its message, otherwise 0.
    ends_message: u8,
}

impl<S: AsyncRead> SplitFrames<S> {
    pub(super) fn new(stream: S, limits: FrameLimits) -> SplitFrames<S> {
        SplitFrames {
            stream: BufReader::with_capacity(BUFFER_BYTES, stream),
            limits,
            head: [0; MAX_HEAD_BYTES],
            filled: 0,
            passed: 0,
            is_complete: false,
            part: 0,
            rest: 0,
            ends_message: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> SplitFrames<S> {
    /// Reads the rest of a head. Returns false at the end of the stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let size = head_size(&self.head[..self.filled]);
            if self.filled == size {
                self.start_frame();
                return Poll::Ready(Ok(true));
            }
            let mut buffer = ReadBuf::new(&mut self.head[self.filled..size]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let count = buffer.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(false));
            }
            self.filled += count;
        }
    }

    /// Prepares to pass on the frame whose head is complete.
    fn start_frame(&mut self) {
        self.part = payload_size(&self.head[..self.filled]);
        if self.part > self.limits.part_bytes && self.part <= self.limits.frame_bytes {
            self.ends_message = self.head[0] & IS_LAST;
            self.rest = self.part;
            self.head[0] &= !IS_LAST;
            self.take_part();
        }
    }

    /// Prepares to pass on another part of a large frame.
    fn continue_frame(&mut self) {
        self.take_part();
        // The type of a continuation is 0.
        self.head[0] = if self.rest == 0 { self.ends_message } else { 0 };
        self.filled = head_size(&self.head);
    }

    fn take_part(&mut self) {
        self.part = self.rest.min(self.limits.part_bytes);
        self.rest -= self.part;
        // A large frame has a length of eight bytes, so the size of the head stays. The mask stays,
        // too, because the size of a part is a multiple of the mask's.
        self.head[LENGTH].copy_from_slice(&self.part.to_be_bytes());
    }

    /// Passes on bytes of the complete head.
    fn pass_head(&mut self, buffer: &mut ReadBuf<'_>) {
        let left = &self.head[self.passed..self.filled];
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        self.passed += count;
        if self.passed == self.filled {
            (self.filled, self.passed, self.is_complete) = (0, 0, false);
        }
    }

    /// Passes on bytes of the payload. Passes on nothing at the end of the stream.
    fn poll_payload(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let part = usize::try_from(self.part).unwrap_or(usize::MAX);
        let size = part.min(buffer.remaining());
        let mut payload = ReadBuf::new(buffer.initialize_unfilled_to(size));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut payload))?;
        let count = payload.filled().len();
        buffer.advance(count);
        self.part -= count as u64;
        Poll::Ready(Ok(count))
    }

    /// Passes on some bytes. Returns false at the end of the stream.
    fn poll_some(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if !self.is_complete && self.part > 0 {
            let count = ready!(self.poll_payload(cx, buffer))?;
            return Poll::Ready(Ok(count > 0));
        }
        if !self.is_complete {
            if self.rest > 0 {
                self.continue_frame();
            } else if !ready!(self.poll_head(cx))? {
                return Poll::Ready(Ok(false));
            }
            self.is_complete = true;
        }
        self.pass_head(buffer);
        Poll::Ready(Ok(true))
    }
}

/// Returns the size of a head, as far as its first bytes show it.
fn head_size(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else { return 2 };
    let length = match second & !HAS_MASK {
        LENGTH_OF_TWO_BYTES => 2,
        LENGTH_OF_EIGHT_BYTES => 8,
        _ => 0,
    };
    let mask = if second & HAS_MASK == 0 { 0 } else { 4 };
    2 + length + mask
}

/// Returns the size of the payload that follows a complete head.
fn payload_size(head: &[u8]) -> u64 {
    match head[1] & !HAS_MASK {
        LENGTH_OF_TWO_BYTES => u16::from_be_bytes([head[2], head[3]]).into(),
        LENGTH_OF_EIGHT_BYTES => head[LENGTH]
            .iter()
            .fold(0, |size, byte| size << 8 | u64::from(*byte)),
        short => short.into(),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SplitFrames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            let is_open = match self.poll_some(cx, buffer) {
                Poll::Ready(is_open) => is_open?,
                Poll::Pending if buffer.filled().len() > before => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            };
            // More bytes that have arrived are passed on together.
            if !is_open || buffer.remaining() == 0 || self.stream.buffer().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SplitFrames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    const LIMITS: FrameLimits = FrameLimits {
        part_bytes: 70_000,
        frame_bytes: 1_000_000,
    };

    /// Returns what a reader gets of the bytes of a client. They arrive in pieces of `piece` bytes.
    async fn split(bytes: &[u8], piece: usize) -> Vec<u8> {
        let (mut client, server) = duplex(piece);
        let mut split = SplitFrames::new(server, LIMITS);
        let mut passed = Vec::new();
        let sending = async {
            client.write_all(bytes).await.expect("the server reads");
            drop(client);
        };
        let ((), read) = tokio::join!(sending, split.read_to_end(&mut passed));
        read.expect("no error");
        passed
    }

    fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let second = LENGTH_OF_EIGHT_BYTES | mask.map_or(0, |_| HAS_MASK);
        let length = (payload.len() as u64).to_be_bytes();
        let mask = mask.as_ref().map_or(&[][..], |mask| mask);
        [&[first, second][..], &length, mask, payload].concat()
    }

    #[tokio::test]
    async fn a_large_frame_becomes_fragments_however_its_bytes_arrive() {
        let payload: Vec<u8> = (0..=250).cycle().take(150_000).collect();
        let (ping, mask) = ([0x89, 0x80, 1, 2, 3, 4], [5, 6, 7, 8]);
        for mask in [None, Some(mask)] {
            let whole = [&ping[..], &frame(0x82, mask, &payload), &ping].concat();
            let parts = [
                &ping[..],
                &frame(0x02, mask, &payload[..70_000]),
                &frame(0x00, mask, &payload[70_000..140_000]),
                &frame(0x80, mask, &payload[140_000..]),
                &ping,
            ];
            for piece in [1, 13, 100_000] {
                assert!(split(&whole, piece).await == parts.concat(), "{piece}");
            }
        }
        // The last part of a fragment is not the end of the message.
        let fragment = frame(0x01, None, &payload[..80_000]);
        let parts = [
            frame(0x01, None, &payload[..70_000]),
            frame(0x00, None, &payload[70_000..80_000]),
        ];
        assert!(split(&fragment, 100_000).await == parts.concat());
    }

    #[tokio::test]
    async fn small_frames_and_frames_above_the_limit_stay() {
        let payload = vec![1; 1_000_001];
        let small = frame(0x81, None, &payload[..70_000]);
        let short = [&[0x81, 126, 0, 200][..], &payload[..200]].concat();
        for whole in [small, short, frame(0x81, None, &payload)] {
            assert!(split(&whole, 100_000).await == whole);
        }
    }

    #[tokio::test]
    async fn messages_stay_the_same() {
        let (client, server) = duplex(1000);
        let server = SplitFrames::new(server, LIMITS);
        let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let mut server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
        let messages = [0, 1, 200, 66_000, 70_001, 400_000]
            .map(|size| Message::text("ü€".repeat(size / 5) + &"x".repeat(size % 5)));
        let sending = async {
            for message in messages.clone() {
                client.send(message).await.expect("the server reads");
            }
        };
        let receiving = async {
            for message in &messages {
                let received = server.next().await.expect("a message");
                assert!(received.expect("no error") == *message);
            }
        };
        tokio::join!(sending, receiving);
    }
}
