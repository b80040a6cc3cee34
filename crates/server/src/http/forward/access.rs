//! The access of other nodes to the router for nodes.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hearth_peer::{Acceptor, Fingerprint, SIGNATURE, Verifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::verdict;
use crate::cluster::{Cluster, Standing};
use crate::http::error::ApiError;

/// The check of connections and requests of other nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum NodeAccess {
    /// Connections have pinned certificates.
    Pinned(Acceptor),
    /// Requests are signed.
    Signed(Verifier),
}

/// The certificate of a connection, if it has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Certificate(Option<Fingerprint>);

/// Marks a request that another node has sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromNode;

/// A stream of another node.
pub(crate) trait NodeStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> NodeStream for T {}

impl NodeAccess {
    /// Accepts a connection. Returns none if it is not one of a node.
    pub async fn accept(&self, stream: TcpStream) -> Option<(Box<dyn NodeStream>, Certificate)> {
        match self {
            NodeAccess::Signed(_) => Some((Box::new(stream), Certificate(None))),
            NodeAccess::Pinned(acceptor) => match acceptor.accept(stream).await {
                Ok(accepted) => {
                    let certificate = Certificate(Some(accepted.fingerprint));
                    Some((Box::new(accepted.stream), certificate))
                }
                Err(error) => {
                    tracing::debug!(%error, "connection of a stranger to the peer port closed");
                    None
                }
            },
        }
    }

    /// Returns true for a request of a node that is alive now. Removes its signature.
    fn admits(&self, request: &mut Request) -> bool {
        match self {
            NodeAccess::Signed(verifier) => verifier.verify(request),
            NodeAccess::Pinned(acceptor) => {
                request.headers_mut().remove(SIGNATURE);
                let certificate = request.extensions().get::<Certificate>();
                let fingerprint = certificate.and_then(|certificate| certificate.0);
                fingerprint.is_some_and(|fingerprint| acceptor.knows(&fingerprint))
            }
        }
    }
}

/// Answers only requests of nodes that are alive. Connections stay open longer than leases.
pub(crate) async fn admit_node(
    State((access, cluster)): State<(NodeAccess, Arc<Cluster>)>,
    mut request: Request,
    next: Next,
) -> Response {
    if !access.admits(&mut request) {
        let reason = "the sender is not a living node".to_owned();
        return ApiError::NodeUnreachable(reason).into_response();
    }
    // A process that was stopped must not answer for sessions that it no longer owns. Two nodes
    // that both lack the store must be able to vouch for each other.
    let is_verdict = request.uri().path() == verdict::PATH;
    if !is_verdict && cluster.settle().await == Standing::Suspect {
        let reason = "the node does not know whether it has its lease".to_owned();
        return ApiError::NodeUnreachable(reason).into_response();
    }
    request.extensions_mut().insert(FromNode);
    next.run(request).await
}
