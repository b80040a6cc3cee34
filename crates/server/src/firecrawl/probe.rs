//! Checks whether Firecrawl answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::HOST;
use hyper::{Method, Request, Uri};
use tokio::time::{MissedTickBehavior, interval};

use super::server::Firecrawl;
use crate::outgoing::{Connector, Exchange, OutgoingError};

/// The interval between two probes.
const INTERVAL: Duration = Duration::from_secs(15);

/// The limits of a probe.
const LIMITS: Exchange = Exchange {
    head_time: Duration::from_secs(5),
    idle_time: Duration::from_secs(5),
};

/// Requests `/`. Any response is an answer, because the versions of Firecrawl have no common route
/// for probes.
pub(crate) async fn ask(connector: &Connector) -> Result<(), OutgoingError> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from_static("/");
    if let Some(host) = connector.server().host_header() {
        request.headers_mut().insert(HOST, host);
    }
    LIMITS.send(connector, request).await.map(drop)
}

/// Probes Firecrawl until the task is dropped.
pub(crate) async fn watch(firecrawl: Arc<Firecrawl>) {
    let mut probes = interval(INTERVAL);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        probes.tick().await;
        let outcome = ask(firecrawl.connector()).await;
        firecrawl.record(outcome.as_ref().copied());
    }
}
