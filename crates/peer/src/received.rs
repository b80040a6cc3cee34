//! The body of a response of another node.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::ReceiveError;
use crate::link::Link;
use crate::pool::Pool;

/// The body of a response of another node. It owns the connection: dropping it before its end
/// closes the connection. A reader that pauses makes the other node wait.
pub struct Received {
    body: Incoming,
    /// `None` after it was handed over.
    link: Option<Link>,
    is_complete: bool,
    pool: Arc<Pool>,
}

/// Returns true for a response after which the connection has another protocol.
pub fn is_upgraded<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

impl Received {
    pub(crate) fn new(body: Incoming, link: Link, pool: Arc<Pool>) -> Received {
        Received {
            body,
            link: Some(link),
            is_complete: false,
            pool,
        }
    }

    /// Hands the connection over to the upgrade of the response. Returns the permit that counts the
    /// connection.
    pub async fn hand_over(mut self) -> Option<OwnedSemaphorePermit> {
        let link = self.link.take()?;
        if let Some(driver) = link.driver {
            // The upgrade fails after an error.
            let _ = driver.await;
        }
        Some(link.permit)
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = ReceiveError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReceiveError>>> {
        let received = &mut *self;
        if let Some(link) = &mut received.link {
            link.advance(cx);
        }
        let frame = Pin::new(&mut received.body).poll_frame(cx);
        if let Poll::Ready(None) = frame {
            received.is_complete = true;
        }
        frame.map_err(ReceiveError::Broken)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Keeps the connection for the next request, if this response is complete.
impl Drop for Received {
    fn drop(&mut self) {
        // hyper stops polling a body of a known length after its last byte.
        if self.is_complete || self.body.is_end_stream() {
            let link = self.link.take();
            if let Some(link) = link.and_then(|mut link| link.is_reusable().then_some(link)) {
                self.pool.put(link);
            }
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
