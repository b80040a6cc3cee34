//! Upgraded connections between a client and the node that owns its session.

use std::sync::Arc;

use hearth_peer::Received;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::http::client_connection::ClientConnection;

/// A WebSocket of a client, and the connection to the node that answers it.
pub(super) struct Tunnel {
    pub client: OnUpgrade,
    pub node: OnUpgrade,
    /// The body of the response that accepted the upgrade.
    pub body: Received,
    /// The client's connection.
    pub connection: Arc<ClientConnection>,
}

impl Tunnel {
    /// Copies bytes until either side ends its connection or `lost`. Nothing looks at them, so
    /// pings, pauses and limits are those of the client and the owner.
    pub async fn run(self, lost: impl Future<Output = ()>) {
        let Tunnel {
            client,
            node,
            body,
            connection,
        } = self;
        let copying = async {
            let (_permit, node) = tokio::join!(body.hand_over(), node);
            let (Ok(node), Ok(client)) = (node, client.await) else {
                return;
            };
            // Either side may disconnect at any time. The other one then sees its connection close.
            let _ = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(node)).await;
        };
        tokio::select! {
            () = copying => {}
            () = connection.must_close() => {}
            () = lost => {}
        }
    }
}
