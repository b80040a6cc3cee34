//! A body whose first part was read before it is sent.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hearth_budget::Reservation;
use hyper::body::{Body, Frame, SizeHint};

use crate::outgoing::{ReceiveError, Received};

/// A body: parts in memory, and the rest of a response, if it was not read completely.
pub(super) struct Kept {
    parts: VecDeque<Bytes>,
    rest: Option<Received>,
    /// Accounts for the parts.
    _reserved: Reservation,
}

impl Kept {
    pub fn new(
        parts: impl IntoIterator<Item = Bytes>,
        rest: Option<Received>,
        reserved: Reservation,
    ) -> Kept {
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        Kept {
            parts: parts.collect(),
            rest,
            _reserved: reserved,
        }
    }
}

impl Body for Kept {
    type Data = Bytes;
    type Error = ReceiveError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReceiveError>>> {
        if let Some(part) = self.parts.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let rest = match &self.rest {
            Some(rest) => rest.size_hint(),
            None => SizeHint::with_exact(0),
        };
        let mut size = SizeHint::new();
        size.set_lower(first + rest.lower());
        if let Some(upper) = rest.upper() {
            size.set_upper(first + upper);
        }
        size
    }
}
