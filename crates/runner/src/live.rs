//! The output of a run, for a reader that takes it while the run continues.
//!
//! The reader takes from the head of each capture, which is kept for the outcome in any case. So a
//! slow reader needs no memory, and what it has not taken before the end is in the outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::utf8::complete_len;

/// The maximum size of a text, in bytes.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// An output of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The output of a run while the run continues. Clones share it. There is one reader.
#[derive(Clone, Debug, Default)]
pub struct LiveOutput(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notifies the reader.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    has_started: bool,
    heads: [Head; 2],
}

#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    taken: usize,
}

impl LiveOutput {
    /// Waits until the code has started. It will have an outcome. Cancel safe.
    pub async fn started(&self) {
        while !self.lock().has_started {
            self.0.changed.notified().await;
        }
    }

    /// Takes text that the started code has written: at most 16 KB, in whole characters. Waits
    /// until there is some. Texts of one stream are in order. Cancel safe.
    pub async fn next(&self) -> (OutputStream, String) {
        loop {
            if let Some(text) = self.take_text() {
                return text;
            }
            self.0.changed.notified().await;
        }
    }

    fn take_text(&self) -> Option<(OutputStream, String)> {
        let mut state = self.lock();
        if !state.has_started {
            return None;
        }
        [OutputStream::Stdout, OutputStream::Stderr]
            .into_iter()
            .find_map(|stream| Some((stream, state.heads[stream as usize].take_text()?)))
    }

    /// Lets the reader take output. Output from before is taken first.
    pub(crate) fn start(&self) {
        self.lock().has_started = true;
        self.0.changed.notify_one();
    }

    /// Returns the head of a capture, which this output shares.
    pub(crate) fn head(&self, stream: OutputStream) -> LiveHead {
        let head = LiveHead {
            live: self.clone(),
            stream,
        };
        head.finish();
        head
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first bytes of a stream, which the reader shares.
#[derive(Debug)]
pub(crate) struct LiveHead {
    live: LiveOutput,
    stream: OutputStream,
}

impl LiveHead {
    pub fn len(&self) -> usize {
        self.live.lock().heads[self.stream as usize].bytes.len()
    }

    pub fn push(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let head = &mut self.live.lock().heads[self.stream as usize];
        head.bytes.extend_from_slice(bytes);
        self.live.0.changed.notify_one();
    }

    /// Returns the bytes, and the number of those that the reader has taken. Leaves nothing.
    pub fn finish(&self) -> (Vec<u8>, usize) {
        let Head { bytes, taken } =
            std::mem::take(&mut self.live.lock().heads[self.stream as usize]);
        (bytes, taken)
    }
}

impl Head {
    fn take_text(&mut self) -> Option<String> {
        let rest = &self.bytes[self.taken..];
        let part = &rest[..rest.len().min(MAX_TEXT_BYTES)];
        let part = &part[..complete_len(part)];
        if part.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(part).into_owned();
        self.taken += part.len();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(live: &LiveOutput) -> Vec<(OutputStream, String)> {
        std::iter::from_fn(|| live.take_text()).collect()
    }

    #[test]
    fn nothing_can_be_taken_before_the_start() {
        let live = LiveOutput::default();
        live.head(OutputStream::Stdout).push(b"early");
        assert_eq!(texts(&live), []);
        live.start();
        assert_eq!(texts(&live), [(OutputStream::Stdout, "early".to_owned())]);
        assert_eq!(texts(&live), []);
    }

    #[test]
    fn characters_that_arrive_in_parts_are_taken_whole() {
        let live = LiveOutput::default();
        let head = live.head(OutputStream::Stderr);
        live.start();
        let mut taken = Vec::new();
        for byte in "a😀é\n".as_bytes() {
            head.push(&[*byte]);
            taken.extend(texts(&live));
        }
        let taken: Vec<String> = taken.into_iter().map(|(_, text)| text).collect();
        assert_eq!(taken, ["a", "😀", "é", "\n"]);
        assert_eq!(head.finish(), ("a😀é\n".as_bytes().to_vec(), 8));
    }

    #[test]
    fn long_output_is_taken_in_parts_between_characters() {
        let live = LiveOutput::default();
        let head = live.head(OutputStream::Stdout);
        live.start();
        let all = format!("x{}", "😀".repeat(10_000));
        head.push(all.as_bytes());
        let taken: Vec<String> = texts(&live).into_iter().map(|(_, text)| text).collect();
        assert!(taken.iter().all(|text| text.len() <= MAX_TEXT_BYTES));
        assert_eq!(taken.concat(), all);
    }

    #[tokio::test]
    async fn a_reader_that_waits_gets_what_arrives() {
        let live = LiveOutput::default();
        let head = live.head(OutputStream::Stdout);
        let reader = async {
            live.started().await;
            live.next().await
        };
        let writer = async {
            live.start();
            head.push(b"now");
        };
        let (text, ()) = tokio::join!(reader, writer);
        assert_eq!(text, (OutputStream::Stdout, "now".to_owned()));
    }
}
