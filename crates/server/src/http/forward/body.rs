//! The body of a response of another node.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hearth_peer::{ReceiveError, Received};
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;

/// A reason why a forwarded body ends early.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Broken(#[from] ReceiveError),
    #[error("the other node is gone")]
    Lost,
}

/// The body of a response of another node. It fails when the node is gone.
pub(super) struct ForwardedBody {
    body: Received,
    lost: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl ForwardedBody {
    pub fn new(body: Received, lost: impl Future<Output = ()> + Send + 'static) -> ForwardedBody {
        ForwardedBody {
            body,
            lost: Box::pin(lost),
        }
    }
}

impl Body for ForwardedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| Ok(frame?))),
            Poll::Pending => self
                .lost
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(BodyError::Lost))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
