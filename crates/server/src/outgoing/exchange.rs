//! Sends one request on a new connection.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::connect::Connector;
use super::error::OutgoingError;
use super::received::{Driver, Received};

/// The maximum size of a response's head.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// The maximum number of a response's header fields.
const MAX_FIELDS: usize = 256;

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// The time for sending the request and receiving the head of the response.
    pub head_time: Duration,
    /// The time between two parts of the response.
    pub idle_time: Duration,
}

impl Exchange {
    /// Sends a request and returns the response. Dropping the future, or the body of the response,
    /// closes the connection.
    pub async fn send<B>(
        self,
        connector: &Connector,
        request: Request<B>,
    ) -> Result<Response<Received>, OutgoingError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = connector.connect().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_FIELDS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| OutgoingError::of_exchange(&error))?;
        let mut driver: Driver = Box::pin(connection.with_upgrades());
        let receiving = receive(sender, &mut driver, request);
        let (response, is_over) = timeout(self.head_time, receiving)
            .await
            .map_err(|_| OutgoingError::TimedOut(self.head_time))??;
        let driver = (!is_over).then_some(driver);
        Ok(response.map(|body| Received::new(body, driver, self.idle_time)))
    }
}

/// Returns the response, and true if its connection has ended.
async fn receive<B>(
    mut sender: SendRequest<B>,
    driver: &mut Driver,
    request: Request<B>,
) -> Result<(Response<Incoming>, bool), OutgoingError>
where
    B: Body<Data = Bytes> + Send + 'static,
{
    let mut receiving = pin!(sender.send_request(request));
    let (response, is_over) = tokio::select! {
        biased;
        response = &mut receiving => (response, false),
        // hyper has already read a short response to its end.
        _ = driver => (receiving.await, true),
    };
    let response = response.map_err(|error| OutgoingError::of_exchange(&error))?;
    Ok((response, is_over))
}

/// Returns true for a response after which the connection has another protocol.
pub(crate) fn is_upgraded<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}
