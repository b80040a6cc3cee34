//! The repetition of requests that a node has not answered, and that do no harm twice.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout};

use super::forwarding::{ForwardError, Forwarding};
use crate::cluster::{Life, Node};

/// The maximum number of repetitions.
const MAX_REPETITIONS: usize = 2;

/// The time in which this node notices that another one has left the cluster: two looks.
const NOTICE_TIME: Duration = Duration::from_millis(2_500);

/// The result of the repetition of a request.
pub(super) enum Repeated {
    Answered(Response),
    /// No other node that is alive has to answer any more.
    Local(Parts),
    Failed(ForwardError),
}

/// A request that a node has not answered.
pub(super) struct Failure {
    pub node: Arc<Node>,
    pub error: ForwardError,
    /// The time when it was sent.
    pub sent: Instant,
}

/// Returns true for a request that does no harm if two nodes get it.
pub(super) fn is_repeatable(parts: &Parts, body: &Body) -> bool {
    let is_idempotent = matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
    is_idempotent && body.is_end_stream()
}

impl Forwarding {
    /// Repeats a request without a body. Its node may be ending in an orderly way: it then closes
    /// connections, and leaves the cluster moments later. `find` returns the node that answers now,
    /// unless that is this one.
    pub(super) async fn repeat(
        &self,
        find: impl Fn() -> Option<Arc<Node>>,
        parts: Parts,
        mut failure: Failure,
    ) -> Repeated {
        for _ in 0..MAX_REPETITIONS {
            if !self.may_repeat(&failure).await {
                break;
            }
            let Some(node) = find() else {
                return Repeated::Local(parts);
            };
            let request = Request::from_parts(parts.clone(), Body::empty());
            let sent = Instant::now();
            match self.forward(&node, request).await {
                Ok(response) => return Repeated::Answered(response),
                Err(error) => failure = Failure { node, error, sent },
            }
        }
        Repeated::Failed(failure.error)
    }

    /// Returns true if a repetition can have another result.
    async fn may_repeat(&self, failure: &Failure) -> bool {
        match failure.error {
            // A connection has ended, or the node has: another one may answer.
            ForwardError::Unanswered(_) | ForwardError::Lost => true,
            // A node that is silent was given time enough.
            ForwardError::NotSent(_) => {
                failure.sent.elapsed() < NOTICE_TIME && self.leaves(&failure.node.life).await
            }
            ForwardError::UnexpectedUpgrade => false,
        }
    }

    /// Waits a moment until a node is no longer alive. Returns false if it still is.
    async fn leaves(&self, life: &Life) -> bool {
        let mut views = self.cluster.watch_view();
        let leaving = views.wait_for(|view| view.by_life(life).is_none());
        timeout(NOTICE_TIME, leaving)
            .await
            .is_ok_and(|left| left.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_repeated(method: Method, body: Body) -> bool {
        let request = axum::http::Request::builder().method(method).body(body);
        let (parts, body) = request.expect("a request").into_parts();
        is_repeatable(&parts, &body)
    }

    #[test]
    fn only_idempotent_requests_without_a_body_are_repeated() {
        for method in [Method::GET, Method::HEAD, Method::DELETE] {
            assert!(is_repeated(method.clone(), Body::empty()), "{method}");
            assert!(!is_repeated(method.clone(), Body::from("1")), "{method}");
        }
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            assert!(!is_repeated(method.clone(), Body::empty()), "{method}");
        }
    }
}
