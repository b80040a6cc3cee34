//! One request on one connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::{Request, Response};

use crate::error::SendError;
use crate::link::{Link, RequestBody};
use crate::pool::Pool;
use crate::received::Received;

/// The result of one attempt to send a request.
pub(crate) enum Attempt {
    Finished(Result<Response<Received>, SendError>),
    /// Nothing of the request was written.
    NotSent(Request<RequestBody>, String),
}

/// Sends a request on a connection, and waits for the head of the response.
pub(crate) async fn attempt(
    mut link: Link,
    request: Request<RequestBody>,
    pool: &Arc<Pool>,
) -> Attempt {
    let sent = exchange(&mut link, request).await;
    match sent {
        Ok(response) => {
            link.lane.hear();
            let response = response.map(|body| Received::new(body, link, Arc::clone(pool)));
            Attempt::Finished(Ok(response))
        }
        Err(mut error) => {
            let unsent = error.take_message();
            let reason = error.into_error().to_string();
            match unsent {
                Some(unsent) => Attempt::NotSent(unsent, reason),
                None => Attempt::Finished(Err(SendError::Unanswered(reason))),
            }
        }
    }
}

/// Returns the response. Advances the connection meanwhile.
async fn exchange(
    link: &mut Link,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
    let mut receiving = pin!(link.sender.try_send_request(request));
    poll_fn(|cx| {
        link.advance(cx);
        receiving.as_mut().poll(cx)
    })
    .await
}
