//! One open connection to another node.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::OwnedSemaphorePermit;

use crate::lane::Lane;
use crate::remote::Remote;

/// The type of all bodies on one connection.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// The sender of the requests on one connection.
pub(crate) type Sender = SendRequest<RequestBody>;

/// The future that reads and writes a connection.
pub(crate) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection to another node. Dropping it closes the connection.
pub(crate) struct Link {
    pub remote: Remote,
    /// Learns when the connection is idle.
    pub lane: Arc<Lane>,
    pub sender: Sender,
    /// `None` when it has ended, also because the connection was upgraded.
    pub driver: Option<Driver>,
    /// Counts the connection.
    pub permit: OwnedSemaphorePermit,
}

impl Link {
    /// Returns true if the connection is open and its last exchange is complete. Never waits: the
    /// connection reads and writes what it can at once.
    pub fn is_reusable(&mut self) -> bool {
        self.advance(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Reads and writes the connection. Errors are also those of the request and of the body.
    pub fn advance(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
    }
}
