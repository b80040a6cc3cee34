//! Detects requests of a client to hosts other than the server: they arrive here and are not
//! forwarded.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

/// A proxy on loopback that rejects every request and records it.
pub struct Elsewhere {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// The accept loop, which owns every connection.
    _accepting: JoinSet<()>,
}

impl Elsewhere {
    /// Listens on a free port.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&asked)));
        Self {
            address,
            asked,
            _accepting: accepting,
        }
    }

    /// Redirects a program's requests to other hosts here, with every setting that the clients
    /// support.
    pub fn listen_to(&self, command: &mut Command) {
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            command
                .env(name, &self.address)
                .env(name.to_uppercase(), &self.address);
        }
        command
            .env("no_proxy", "127.0.0.1")
            .env("NO_PROXY", "127.0.0.1")
            .env("NODE_USE_ENV_PROXY", "1");
    }

    /// Returns the first line of every request so far.
    pub fn received(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, asked: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(reject(accepted.unwrap().0, Arc::clone(&asked)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn reject(stream: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    drop(stream.read_line(&mut line).await);
    asked.lock().unwrap().push(line.trim().to_owned());
    let rejection = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    drop(stream.write_all(rejection).await);
    drop(stream.shutdown().await);
}
