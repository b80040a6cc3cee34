//! Relays the bytes of a WebSocket between a client and Firecrawl.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::time::timeout;

use crate::http::client_connection::ClientConnection;
use crate::outgoing::Received;

/// The maximum duration of a WebSocket. Firecrawl's clients use them to watch a crawl.
const MAX_DURATION: Duration = Duration::from_hours(24);

/// Relays bytes until either side ends its connection. `body` is the body of the response that
/// accepted the upgrade.
pub(super) async fn relay(
    client: OnUpgrade,
    server: OnUpgrade,
    body: Received,
    connection: Arc<ClientConnection>,
) {
    let relaying = async {
        let (_permit, server) = tokio::join!(body.hand_over(), server);
        let (Ok(server), Ok(client)) = (server, client.await) else {
            return;
        };
        // Either side may disconnect at any time. The other side then sees its connection close.
        let _ = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await;
    };
    tokio::select! {
        _ = timeout(MAX_DURATION, relaying) => {}
        () = connection.must_close() => {}
    }
}
