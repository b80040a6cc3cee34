//! Keeps the head and the tail of a stream within a limit.

use std::collections::VecDeque;
use std::fmt::Write;

use hearth_budget::Reservation;

use crate::live::LiveHead;
use crate::utf8::{complete_len, lossy_len, to_string_lossy};

/// A buffer that keeps the first and the last half of `limit_bytes`, and counts the dropped bytes
/// in between. If the budget is exhausted earlier, it keeps only what it has.
#[derive(Debug)]
pub(crate) struct Capture {
    limit_bytes: usize,
    head: Head,
    tail: VecDeque<u8>,
    dropped_bytes: usize,
    received_bytes: usize,
    reserved: Reservation,
}

/// The first bytes of a capture.
#[derive(Debug)]
enum Head {
    Own(Vec<u8>),
    Shared(LiveHead),
}

/// The text of a capture.
#[derive(Debug)]
pub(crate) struct CapturedText {
    pub text: String,
    /// The number of bytes that are missing from the text.
    pub dropped_bytes: usize,
    /// The size of the part of the text that a reader of live output has taken.
    pub taken_bytes: usize,
    /// The reservation for the text.
    pub reserved: Reservation,
}

impl Capture {
    /// Creates a capture, whose head a reader can share.
    pub fn new(limit_bytes: usize, reserved: Reservation, shared: Option<LiveHead>) -> Capture {
        Capture {
            limit_bytes,
            head: shared.map_or(Head::Own(Vec::new()), Head::Shared),
            tail: VecDeque::new(),
            dropped_bytes: 0,
            received_bytes: 0,
            reserved,
        }
    }

    /// Returns the number of all bytes, including those that were dropped.
    pub fn received_bytes(&self) -> usize {
        self.received_bytes
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.received_bytes += bytes.len();
        let kept = self.head.len() + self.tail.len();
        let wanted = bytes.len().min(self.limit_bytes.saturating_sub(kept));
        if wanted > 0 && self.reserved.grow(wanted).is_err() {
            // From now on the tail moves within the memory that is reserved.
            self.limit_bytes = kept;
        }
        let head_bytes = self.head.len();
        let head_limit = (self.limit_bytes / 2).max(head_bytes);
        let to_head = bytes.len().min(head_limit - head_bytes);
        let (head, rest) = bytes.split_at(to_head);
        self.head.push(head);
        let tail_limit = self.limit_bytes - head_limit;
        // Only the end of a long part can stay, so the buffer does not grow for the rest.
        let skipped = rest.len().saturating_sub(tail_limit);
        self.dropped_bytes += skipped;
        let rest = &rest[skipped..];
        let over = (self.tail.len() + rest.len()).saturating_sub(tail_limit);
        self.tail.drain(..over.min(self.tail.len()));
        self.dropped_bytes += over;
        self.tail.extend(rest);
    }

    /// Returns the text of what was kept.
    pub fn finish(mut self) -> CapturedText {
        let (mut head, taken) = self.head.finish();
        let taken_bytes = lossy_len(&head[..taken]);
        if self.dropped_bytes == 0 {
            head.extend(self.tail);
            return CapturedText {
                text: to_string_lossy(head),
                dropped_bytes: 0,
                taken_bytes,
                reserved: self.reserved,
            };
        }
        let whole_head = complete_len(&head);
        let mut dropped_bytes = self.dropped_bytes + head.len() - whole_head;
        head.truncate(whole_head);
        while self.tail.front().is_some_and(|&byte| is_continuation(byte)) && self.tail.len() > 1 {
            self.tail.pop_front();
            dropped_bytes += 1;
        }
        let mut text = to_string_lossy(head);
        let _ = write!(text, "\n… [{dropped_bytes} bytes dropped] …\n");
        text.push_str(&to_string_lossy(self.tail.into()));
        CapturedText {
            text,
            dropped_bytes,
            taken_bytes,
            reserved: self.reserved,
        }
    }
}

impl Head {
    fn len(&self) -> usize {
        match self {
            Head::Own(bytes) => bytes.len(),
            Head::Shared(head) => head.len(),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Head::Own(own) => own.extend_from_slice(bytes),
            Head::Shared(head) => head.push(bytes),
        }
    }

    /// Returns the bytes, and the number of those that a reader has taken.
    fn finish(self) -> (Vec<u8>, usize) {
        match self {
            Head::Own(bytes) => (bytes, 0),
            Head::Shared(head) => head.finish(),
        }
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
mod tests {
    use hearth_budget::Budget;

    use super::*;
    use crate::live::{LiveOutput, OutputStream};

    fn capture(limit_bytes: usize, parts: &[&str]) -> (String, usize) {
        capture_within(1000, limit_bytes, parts)
    }

    fn capture_within(budget: u64, limit_bytes: usize, parts: &[&str]) -> (String, usize) {
        let budget = Budget::new("this test", budget);
        let mut capture = Capture::new(limit_bytes, budget.empty(), None);
        for part in parts {
            capture.push(part.as_bytes());
        }
        let captured = capture.finish();
        assert_eq!(budget.used(), captured.reserved.bytes());
        (captured.text, captured.dropped_bytes)
    }

    #[test]
    fn an_exhausted_budget_lowers_the_limit() {
        assert_eq!(
            capture_within(4, 10, &["ab", "cd", "efgh", "ij"]),
            ("abcd\n… [6 bytes dropped] …\n".into(), 6)
        );
        assert_eq!(
            capture_within(8, 10, &["abcde", "fgh", "ij"]),
            ("abcde\n… [2 bytes dropped] …\nhij".into(), 2)
        );
    }

    #[test]
    fn text_within_the_limit_is_unchanged() {
        assert_eq!(
            capture(10, &["abcd", "efg", "hij"]),
            ("abcdefghij".into(), 0)
        );
        assert_eq!(capture(10, &[]), (String::new(), 0));
    }

    #[test]
    fn the_middle_of_a_long_text_is_dropped() {
        assert_eq!(
            capture(10, &["abcdef", "ghijk"]),
            ("abcde\n… [1 bytes dropped] …\nghijk".into(), 1)
        );
        assert_eq!(
            capture(4, &["a", "b", "c", "d", "e", "f"]),
            ("ab\n… [2 bytes dropped] …\nef".into(), 2)
        );
    }

    #[test]
    fn characters_are_not_cut_in_two() {
        // Each character has two bytes, and both cuts fall inside a character.
        assert_eq!(
            capture(6, &["ääääää"]),
            ("ä\n… [8 bytes dropped] …\nä".into(), 8)
        );
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        let budget = Budget::new("this test", 100);
        let mut capture = Capture::new(100, budget.empty(), None);
        capture.push(b"a\xffb");
        assert_eq!(capture.finish().text, "a\u{fffd}b");
    }

    /// Checks that the reader has taken the start of the text, wherever it stops.
    #[tokio::test]
    async fn a_reader_takes_the_start_of_the_text() {
        let output = "a\u{fffd}😀€b\n".repeat(10).into_bytes();
        let output = [&output[..], b"\xff\xf0\x9f", &output].concat();
        for limit_bytes in [1000, 100, 21, 1] {
            for reads in 0..output.len() {
                let budget = Budget::new("this test", 1000);
                let live = LiveOutput::default();
                let head = live.head(OutputStream::Stdout);
                let mut capture = Capture::new(limit_bytes, budget.empty(), Some(head));
                live.start();
                let mut taken = String::new();
                for (index, byte) in output.iter().enumerate() {
                    capture.push(&[*byte]);
                    if index < reads {
                        tokio::select! {
                            biased;
                            (_, text) = live.next() => taken.push_str(&text),
                            () = std::future::ready(()) => {}
                        }
                    }
                }
                let captured = capture.finish();
                assert_eq!(captured.taken_bytes, taken.len());
                assert_eq!(
                    captured.text[..taken.len()],
                    taken,
                    "{limit_bytes}, {reads}"
                );
                let mut whole = Capture::new(limit_bytes, budget.empty(), None);
                for byte in &output {
                    whole.push(&[*byte]);
                }
                assert_eq!(captured.text, whole.finish().text);
            }
        }
    }
}
