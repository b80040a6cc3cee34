//! A web server on loopback for these tests: files, redirects, a WebSocket echo, and a record of
//! all requests. With another handler it is a proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// The response to a path: a head without its length, and a body.
type Page = (String, Vec<u8>);

pub struct Web {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _accepting: JoinSet<()>,
}

impl Web {
    /// Serves `pages`, each for requests whose first line starts with its name; answers `ok` to
    /// everything else.
    pub async fn with(pages: Vec<(&'static str, Page)>) -> Web {
        Web::listening("127.0.0.1:0", pages).await
    }

    /// Serves `ok` on another address.
    pub async fn on(address: &str) -> Web {
        Web::listening(address, Vec::new()).await
    }

    async fn listening(address: &str, pages: Vec<(&'static str, Page)>) -> Web {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (pages, notes) = (Arc::new(pages), Arc::clone(&asked));
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&pages), Arc::clone(&notes)));
            }
        });
        Web {
            address,
            asked,
            _accepting: accepting,
        }
    }

    pub async fn start() -> Web {
        Web::with(Vec::new()).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the first lines of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    pages: Arc<Vec<(&'static str, Page)>>,
    notes: Arc<Mutex<Vec<String>>>,
) {
    let mut head = [0; 4096];
    let count = stream.peek(&mut head).await.unwrap_or(0);
    let first = String::from_utf8_lossy(&head[..count])
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    notes.lock().expect("no panic").push(first.clone());
    if first.contains("/socket") {
        // A test ignores clients that disconnect half-way.
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
            return;
        };
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            let _ = socket.send(Message::text(format!("heard {text}"))).await;
        }
        return;
    }
    let _ = stream.read(&mut head).await;
    let page = pages
        .iter()
        .find(|(name, _)| first.starts_with(name))
        .map(|(_, page)| page);
    let usual = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/html".to_owned(),
        b"<title>ok</title>ok".to_vec(),
    );
    let (head, body) = page.unwrap_or(&usual);
    let head = format!(
        "{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    let _ = stream.shutdown().await;
}

/// Returns a redirect.
pub fn redirect(to: &str) -> Page {
    (format!("HTTP/1.1 302 Found\r\nLocation: {to}"), Vec::new())
}

/// Returns a file.
pub fn file(bytes: Vec<u8>) -> Page {
    (
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream".to_owned(),
        bytes,
    )
}
