//! The body of a response of another server.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

/// The future that reads and writes a connection.
pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A reason why a body ends early.
#[derive(Debug, Error)]
pub(crate) enum ReceiveError {
    #[error("the response of the other server broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the other server sent nothing for {} s", .0.as_secs())]
    Stalled(Duration),
}

/// The body of a response of another server. It owns the connection, and so ends it when it is
/// dropped. A reader that pauses makes the other server wait.
pub(crate) struct Received {
    body: Incoming,
    /// `None` when the connection has ended.
    driver: Option<Driver>,
    idle_time: Duration,
    /// Set while the reader waits.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Counts the connection.
    permit: Option<OwnedSemaphorePermit>,
}

impl Received {
    pub(super) fn new(body: Incoming, driver: Option<Driver>, idle_time: Duration) -> Received {
        Received {
            body,
            driver,
            idle_time,
            deadline: None,
            permit: None,
        }
    }

    /// Holds a permit as long as the connection is open.
    pub fn holding(mut self, permit: OwnedSemaphorePermit) -> Received {
        self.permit = Some(permit);
        self
    }

    /// Hands the connection over to the upgrade of the response. Returns the permit.
    pub async fn hand_over(self) -> Option<OwnedSemaphorePermit> {
        if let Some(driver) = self.driver {
            // The upgrade fails after an error.
            let _ = driver.await;
        }
        self.permit
    }

    /// Advances the connection.
    fn poll_driver(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            // The body contains the error, if there was one.
            self.driver = None;
        }
    }

    /// Fails if the other server has sent nothing for too long.
    fn check_idle(&mut self, cx: &mut Context<'_>) -> Result<(), ReceiveError> {
        let idle_time = self.idle_time;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + idle_time)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Err(ReceiveError::Stalled(idle_time)),
            Poll::Pending => Ok(()),
        }
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
        received.poll_driver(cx);
        match Pin::new(&mut received.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                received.deadline = None;
                Poll::Ready(frame.map(|frame| frame.map_err(ReceiveError::Broken)))
            }
            Poll::Pending => match received.check_idle(cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Some(Err(error))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
