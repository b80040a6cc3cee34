//! A TCP proxy between a viewer and the server, which a test can cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy that forwards connections to a server until it is cut. Dropping it stops it.
pub struct Wire {
    address: SocketAddr,
    is_whole: watch::Sender<bool>,
    /// The accept loop, which owns every connection.
    _accepting: JoinSet<()>,
}

impl Wire {
    /// Starts a proxy to the server at this address.
    pub async fn to(server: &str) -> Self {
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_whole = watch::Sender::new(true);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server, is_whole.subscribe()));
        Self {
            address,
            is_whole,
            _accepting: accepting,
        }
    }

    /// Returns the same link through the proxy.
    pub fn through(&self, link: &str, server: &str) -> String {
        link.replace(server, &self.address.to_string())
    }

    /// Closes all connections. New ones are closed at once.
    pub fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    pub fn restore(&self) {
        self.is_whole.send_replace(true);
    }
}

async fn accept(listener: TcpListener, server: String, is_whole: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(carry(stream, server.clone(), is_whole.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut viewer: TcpStream, server: String, mut is_whole: watch::Receiver<bool>) {
    let carrying = async {
        if let Ok(mut server) = TcpStream::connect(&server).await {
            // Either side may close it.
            let _ = copy_bidirectional(&mut viewer, &mut server).await;
        }
    };
    tokio::select! {
        _ = is_whole.wait_for(|is_whole| !is_whole) => {}
        () = carrying => {}
    }
}
