//! Keeps the head and the tail of a stream within a limit.

use std::collections::VecDeque;
use std::fmt::Write;

/// A buffer that keeps the first and the last half of `limit_bytes`, and counts the dropped bytes
/// in between.
#[derive(Debug)]
pub(crate) struct Capture {
    limit_bytes: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped_bytes: usize,
}

impl Capture {
    pub fn new(limit_bytes: usize) -> Capture {
        Capture {
            limit_bytes,
            head: Vec::new(),
            tail: VecDeque::new(),
            dropped_bytes: 0,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let head_limit = self.limit_bytes / 2;
        let to_head = bytes.len().min(head_limit.saturating_sub(self.head.len()));
        let (head, rest) = bytes.split_at(to_head);
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let tail_limit = self.limit_bytes - head_limit;
        let over = self.tail.len().saturating_sub(tail_limit);
        self.tail.drain(..over);
        self.dropped_bytes += over;
    }

    /// Returns the text and the number of bytes that are missing from it.
    pub fn finish(mut self) -> (String, usize) {
        if self.dropped_bytes == 0 {
            self.head.extend(self.tail);
            return (to_string_lossy(self.head), 0);
        }
        let whole_head = complete_utf8_len(&self.head);
        let mut dropped = self.dropped_bytes + self.head.len() - whole_head;
        self.head.truncate(whole_head);
        while self.tail.front().is_some_and(|&byte| is_continuation(byte)) && self.tail.len() > 1 {
            self.tail.pop_front();
            dropped += 1;
        }
        let mut text = to_string_lossy(self.head);
        let _ = write!(text, "\n… [{dropped} bytes dropped] …\n");
        text.push_str(&to_string_lossy(self.tail.into()));
        (text, dropped)
    }
}

fn to_string_lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Returns the length of `bytes` without an incomplete last character.
fn complete_utf8_len(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(limit_bytes: usize, parts: &[&str]) -> (String, usize) {
        let mut capture = Capture::new(limit_bytes);
        for part in parts {
            capture.push(part.as_bytes());
        }
        capture.finish()
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
        let mut capture = Capture::new(100);
        capture.push(b"a\xffb");
        assert_eq!(capture.finish(), ("a\u{fffd}b".into(), 0));
    }
}
