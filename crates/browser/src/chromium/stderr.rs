//! Reads Chromium's standard error.
//!
//! The last lines are kept for the error message of a failed start. Everything is logged at trace
//! level, because it can quote page content. The pipe is always drained, so that Chromium never
//! blocks on it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The number of lines to keep.
const KEPT_LINES: usize = 6;

/// The length at which lines are cut, in bytes.
const MAX_LINE_BYTES: usize = 400;

/// The last lines. Cheap to clone: the drain task writes them, error messages read them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastLines {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl LastLines {
    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).trim().to_owned();
        if line.is_empty() {
            return;
        }
        tracing::trace!(%line, "chromium stderr");
        // On a machine without D-Bus, Chromium prints this ten times at each start. It does not
        // matter here.
        if line.contains("dbus/") {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Returns the kept lines, joined for one message.
    pub(crate) fn joined(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" | ")
    }
}

/// Reads until every writer has closed its end.
pub(crate) async fn drain(mut from: pipe::Receiver, into: LastLines) {
    let mut bytes = [0; 4096];
    let mut line = Vec::with_capacity(MAX_LINE_BYTES);
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        for &byte in &bytes[..count] {
            if byte == b'\n' {
                into.push(&line);
                line.clear();
            } else if line.len() < MAX_LINE_BYTES {
                line.push(byte);
            }
        }
    }
    into.push(&line);
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use super::*;

    async fn lines_of(written: &[u8]) -> String {
        let (ours, mut theirs) = std::io::pipe().expect("a pipe");
        theirs.write_all(written).expect("fits into the pipe");
        drop(theirs);
        let lines = LastLines::default();
        drain(
            pipe::Receiver::from_owned_fd(OwnedFd::from(ours)).expect("a reading end"),
            lines.clone(),
        )
        .await;
        lines.joined()
    }

    #[tokio::test]
    async fn last_lines_are_kept_including_an_unfinished_one() {
        let kept = lines_of(b"1\n2\n3\n4\n5\n6\n\n7\n8").await;
        assert_eq!(kept, "3 | 4 | 5 | 6 | 7 | 8");
    }

    #[tokio::test]
    async fn long_lines_are_cut() {
        assert_eq!(lines_of(&[b'x'; 5000]).await.len(), MAX_LINE_BYTES);
    }
}
