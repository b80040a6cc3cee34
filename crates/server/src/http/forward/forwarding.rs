//! Sends requests to other nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hearth_peer::{Client, Received, Remote, SendError, is_upgraded};
use hyper::upgrade::OnUpgrade;
use thiserror::Error;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::ForwardedBody;
use super::lost::lost;
use super::tunnel::Tunnel;
use crate::cluster::{Cluster, Node};
use crate::http::client_connection::ClientConnection;
use crate::http::hop_by_hop::{set_websocket, strip, take_over};
use crate::metrics::{ForwardOutcome, Metrics};

/// The interval at which idle connections are closed.
const CLOSE_INTERVAL: Duration = Duration::from_secs(5);

/// A reason why another node has not answered a request.
#[derive(Debug, Error)]
pub(super) enum ForwardError {
    /// It has received nothing.
    #[error("{0}")]
    NotSent(String),
    /// It has received the request, and may have acted on it.
    #[error("{0}")]
    Unanswered(String),
    /// It is gone.
    #[error("the node is gone")]
    Lost,
    /// It answered with an upgrade that nobody asked for.
    #[error("it changed the protocol, which the request did not ask for")]
    UnexpectedUpgrade,
}

impl From<SendError> for ForwardError {
    fn from(error: SendError) -> ForwardError {
        match error {
            SendError::NotSent(reason) => ForwardError::NotSent(reason),
            SendError::Unanswered(_) => ForwardError::Unanswered(error.to_string()),
        }
    }
}

/// Sends requests to other nodes. Its tasks end with the server.
#[derive(Debug)]
pub(crate) struct Forwarding {
    pub cluster: Arc<Cluster>,
    pub client: Arc<Client>,
    pub metrics: Arc<Metrics>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl Forwarding {
    /// Sends a request of a client to a node, and returns the response. Its body, and the WebSocket
    /// that may follow, end with the node. A client that leaves cancels its request on the node.
    pub(super) async fn forward(
        &self,
        node: &Node,
        request: Request,
    ) -> Result<Response, ForwardError> {
        let (mut parts, body) = request.into_parts();
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let connection = parts.extensions.get::<Arc<ClientConnection>>().cloned();
        take_over(&mut parts);
        let began = Instant::now();
        let response = self.send(node, Request::from_parts(parts, body)).await;
        let outcome = match &response {
            Ok(_) => ForwardOutcome::Answered,
            Err(ForwardError::NotSent(_)) => ForwardOutcome::Unreachable,
            Err(_) => ForwardOutcome::Lost,
        };
        let metrics = self.metrics.forwarding();
        metrics.finished(outcome, began.elapsed());
        let response = response?;
        if !is_upgraded(&response) {
            return Ok(self.answer(node, response));
        }
        let client = upgrade.zip(connection);
        let (client, connection) = client.ok_or(ForwardError::UnexpectedUpgrade)?;
        Ok(self.upgrade(node, response, client, connection))
    }

    async fn send(
        &self,
        node: &Node,
        request: Request,
    ) -> Result<axum::http::Response<Received>, ForwardError> {
        tokio::select! {
            biased;
            sent = self.client.send(remote(node), request) => Ok(sent?),
            () = lost(self.cluster.watch_view(), node.life.clone()) => Err(ForwardError::Lost),
        }
    }

    /// Returns a node's response without the headers that belong to its connection.
    fn answer(&self, node: &Node, response: axum::http::Response<Received>) -> Response {
        let lost = lost(self.cluster.watch_view(), node.life.clone());
        let mut response = response.map(|body| Body::new(ForwardedBody::new(body, lost)));
        strip(response.headers_mut());
        response
    }

    /// Returns a node's response that accepts an upgrade, and starts to copy what follows it.
    fn upgrade(
        &self,
        node: &Node,
        mut response: axum::http::Response<Received>,
        client: OnUpgrade,
        connection: Arc<ClientConnection>,
    ) -> Response {
        let upgrade = hyper::upgrade::on(&mut response);
        let (mut parts, body) = response.into_parts();
        strip(&mut parts.headers);
        set_websocket(&mut parts.headers);
        // The owner has accepted the client's token.
        connection.authenticate();
        connection.tunnel();
        let tunnel = Tunnel {
            client,
            node: upgrade,
            body,
            connection,
        };
        let lost = lost(self.cluster.watch_view(), node.life.clone());
        let (stop, counted) = (self.stop.clone(), self.metrics.forwarding().socket());
        self.tasks.spawn(async move {
            let _counted = counted;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tunnel.run(lost) => {}
            }
        });
        Response::from_parts(parts, Body::empty())
    }
}

/// Returns a node as the target of requests.
pub(super) fn remote(node: &Node) -> Remote {
    Remote {
        address: node.address,
        fingerprint: node.fingerprint,
    }
}

/// Closes connections to other nodes that have been idle for too long, until `stop`.
pub(crate) async fn close_idle_connections(client: Arc<Client>, stop: CancellationToken) {
    while timeout(CLOSE_INTERVAL, stop.cancelled()).await.is_err() {
        client.close_idle();
    }
}
