//! The events of code that runs on another node.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

/// The start of the last event.
const END: &[u8] = b"event: end\n";

/// A body with events. It gets an end if the node is gone before it has sent one.
pub(super) struct EventBody {
    body: Body,
    /// The events at the end, unless the node has begun to send its own.
    end: Option<Bytes>,
    /// The last bytes. An event ends with two newlines.
    last: [u8; 2],
    is_over: bool,
}

impl EventBody {
    pub fn new(body: Body, end: Bytes) -> EventBody {
        EventBody {
            body,
            end: Some(end),
            last: *b"\n\n",
            is_over: false,
        }
    }

    fn observe(&mut self, data: &[u8]) {
        for byte in data.iter().rev().take(2).rev() {
            self.last = [self.last[1], *byte];
        }
        if data.windows(END.len()).any(|part| part == END) {
            self.end = None;
        }
    }

    /// Returns the end, unless it would become a part of another event.
    fn take_end(&mut self) -> Option<Bytes> {
        self.end.take().filter(|_| self.last == *b"\n\n")
    }
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.observe(frame.data_ref().map_or(&[], |data| data));
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.is_over = true;
                let end = self.take_end().map(|end| Ok(Frame::data(end)));
                Some(end.unwrap_or(Err(error)))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    /// Returns what a client reads of a body whose parts are followed by an error.
    async fn read(parts: &[&'static str]) -> (String, bool) {
        let parts: Vec<_> = parts.iter().map(|part| Ok(*part)).collect();
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        let parts = stream::iter(parts.into_iter().chain([Err(error)]));
        let mut body = EventBody::new(Body::from_stream(parts), Bytes::from_static(b"END"));
        let (mut text, mut failed) = (String::new(), false);
        while let Some(frame) = body.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => text.push_str(std::str::from_utf8(&data).expect("text")),
                _ => failed = true,
            }
        }
        (text, failed)
    }

    #[tokio::test]
    async fn a_stream_without_an_end_gets_one_between_events() {
        assert_eq!(read(&[]).await, ("END".to_owned(), false));
        let events = ["event: stdout\ndata: {}\n", "\n"];
        assert_eq!(
            read(&events).await,
            ("event: stdout\ndata: {}\n\nEND".to_owned(), false)
        );
        let within = ["event: stdout\ndata: {"];
        assert_eq!(read(&within).await, (within[0].to_owned(), true));
        let ended = ["event: end\ndata: ", "{}\n\n"];
        assert_eq!(read(&ended).await, (ended.concat(), true));
    }
}
