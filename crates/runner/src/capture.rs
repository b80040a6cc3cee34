//! Keeps the head and the tail of a stream within a limit.

use std::collections::VecDeque;
use std::fmt::Write;

use hearth_budget::Reservation;

/// A buffer that keeps the first and the last half of `limit_bytes`, and counts the dropped bytes
/// in between. If the budget is exhausted earlier, it keeps only what it has.
#[derive(Debug)]
pub(crate) struct Capture {
    limit_bytes: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped_bytes: usize,
    received_bytes: usize,
    reserved: Reservation,
}

impl Capture {
    pub fn new(limit_bytes: usize, reserved: Reservation) -> Capture {
        Capture {
            limit_bytes,
            head: Vec::new(),
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
        let head_limit = (self.limit_bytes / 2).max(self.head.len());
        let to_head = bytes.len().min(head_limit - self.head.len());
        let (head, rest) = bytes.split_at(to_head);
        self.head.extend_from_slice(head);
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

    /// Returns the text, the number of bytes that are missing from it, and the reservation for the
    /// text.
    pub fn finish(mut self) -> (String, usize, Reservation) {
        if self.dropped_bytes == 0 {
            self.head.extend(self.tail);
            return (to_string_lossy(self.head), 0, self.reserved);
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
        (text, dropped, self.reserved)
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
    use hearth_budget::Budget;

    use super::*;

    fn capture(limit_bytes: usize, parts: &[&str]) -> (String, usize) {
        capture_within(1000, limit_bytes, parts)
    }

    fn capture_within(budget: u64, limit_bytes: usize, parts: &[&str]) -> (String, usize) {
        let budget = Budget::new("this test", budget);
        let mut capture = Capture::new(limit_bytes, budget.empty());
        for part in parts {
            capture.push(part.as_bytes());
        }
        let (text, dropped, reserved) = capture.finish();
        assert_eq!(budget.used(), reserved.bytes());
        (text, dropped)
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
        let mut capture = Capture::new(100, budget.empty());
        capture.push(b"a\xffb");
        assert_eq!(capture.finish().0, "a\u{fffd}b");
    }
}
