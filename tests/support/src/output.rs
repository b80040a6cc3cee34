//! Captures a program's output in a thread, so that the program never blocks on a full pipe.

use std::io::{BufRead, BufReader, PipeReader};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

/// An output stream and everything that the program has written to it so far.
#[derive(Debug)]
pub(crate) struct Output {
    text: Arc<Mutex<String>>,
    /// Disconnects when the reading thread ends.
    ended: mpsc::Receiver<()>,
}

impl Output {
    /// Reads `pipe` to its end.
    pub(crate) fn of(pipe: PipeReader) -> Self {
        Self::waiting_for(pipe, |_| None::<()>).0
    }

    /// Reads `pipe` to its end, and sends the first value that `find` returns for a line. The
    /// receiver fails when the stream ends without one.
    pub(crate) fn waiting_for<T: Send + 'static>(
        pipe: PipeReader,
        find: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> (Self, oneshot::Receiver<T>) {
        let text = Arc::new(Mutex::new(String::new()));
        let (found, receiver) = oneshot::channel();
        let (alive, ended) = mpsc::channel();
        let shared = Arc::clone(&text);
        std::thread::spawn(move || {
            let _alive: mpsc::Sender<()> = alive;
            read(pipe, &shared, find, found);
        });
        (Self { text, ended }, receiver)
    }

    /// Returns the output so far.
    pub(crate) fn text(&self) -> String {
        self.text.lock().expect("the lock is not poisoned").clone()
    }

    /// Returns the last line that contains all of `parts`.
    pub(crate) fn last_line_with(&self, parts: &[&str]) -> Option<String> {
        let text = self.text.lock().expect("the lock is not poisoned");
        let mut newest_first = text.lines().rev();
        newest_first
            .find(|line| parts.iter().all(|part| line.contains(part)))
            .map(str::to_owned)
    }

    /// Waits until every writer has closed the stream, which happens when the last process that
    /// holds it ends; fails after `deadline`.
    pub(crate) fn wait_for_end(&self, deadline: Duration) -> Result<(), String> {
        match self.ended.recv_timeout(deadline) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err("a process still holds an output stream open".into())
            }
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

fn read<T>(
    pipe: PipeReader,
    text: &Mutex<String>,
    find: impl Fn(&str) -> Option<T>,
    found: oneshot::Sender<T>,
) {
    let mut found = Some(found);
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
        let line = String::from_utf8_lossy(&bytes).into_owned();
        text.lock()
            .expect("the lock is not poisoned")
            .push_str(&line);
        if let Some(value) = found.is_some().then(|| find(&line)).flatten()
            && let Some(found) = found.take()
        {
            // The receiver may have been dropped.
            drop(found.send(value));
        }
        bytes.clear();
    }
}
