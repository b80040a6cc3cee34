//! A small web site on loopback: pages for browsers, and a way for running code to send word to its test.
//!
//! | path | page |
//! |---|---|
//! | `/title/NAME` | titled `NAME`, with a heading and a paragraph |
//! | `/form` | a text field, a button that puts the text into `#out` and the title |
//! | `/popup` | a link that opens `/title/popped` in a new tab |
//! | `/download` | an attachment `greeting.txt` |
//! | `/hang` | never answered |
//! | `/signal/NAME` | tells the test; the test waits with [`Site::signalled`] |
//!
//! More pages are in `workshop.rs`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::workshop;

/// What `/download` serves.
pub const GREETING: &str = "good evening\n";

/// The running site; it ends when it is dropped.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    signals: watch::Receiver<BTreeSet<String>>,
    /// The accept loop, which owns every connection.
    _accepting: JoinSet<()>,
}

impl Site {
    /// Serves on a free port of loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (sender, signals) = watch::channel(BTreeSet::new());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, sender));
        Self { address, signals, _accepting: accepting }
    }

    /// The full URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until `/signal/NAME` has been asked for; panics after 20 s.
    pub async fn signalled(&self, name: &str) {
        let mut signals = self.signals.clone();
        let waiting = signals.wait_for(|names| names.contains(name));
        let outcome = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        outcome.unwrap_or_else(|_| panic!("no word from the code: {name}")).expect("the site is up");
    }

    /// A bash line that sends word.
    pub fn bash_signal(&self, name: &str) -> String {
        let (host, port) = (self.address.ip(), self.address.port());
        // Reading to the end makes sure that the test knows before the script goes on.
        format!(
            "exec 9<>/dev/tcp/{host}/{port}; printf 'GET /signal/{name} HTTP/1.0\\r\\n\\r\\n' >&9; cat <&9 >/dev/null; exec 9>&-"
        )
    }

    /// A node statement that sends word.
    pub fn node_signal(&self, name: &str) -> String {
        format!("await fetch('{}');", self.url(&format!("/signal/{name}")))
    }

    /// A python statement that sends word.
    pub fn python_signal(&self, name: &str) -> String {
        format!("__import__('urllib.request').request.urlopen('{}').read()", self.url(&format!("/signal/{name}")))
    }

    /// A line of `language` that sends word.
    pub fn signal_in(&self, language: &str, name: &str) -> String {
        match language {
            "node" => self.node_signal(name),
            "python" => self.python_signal(name),
            _ => self.bash_signal(name),
        }
    }
}

async fn accept(listener: TcpListener, signals: watch::Sender<BTreeSet<String>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, signals.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request; a client that goes away half-way is no concern of a test.
async fn serve(stream: TcpStream, signals: watch::Sender<BTreeSet<String>>) {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        match stream.read_line(&mut request).await {
            Ok(count) if count > 0 => {}
            _ => return,
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    if path == "/hang" {
        // Held until the browser gives up.
        drop(stream.read_u8().await);
        return;
    }
    if let Some(name) = path.strip_prefix("/signal/") {
        signals.send_modify(|names| {
            names.insert(name.to_owned());
        });
    }
    let answer = workshop::answer(path, &request).unwrap_or_else(|| answer(path));
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}

fn answer(path: &str) -> String {
    let page = match path {
        "/form" => page(
            "Form",
            "<input id=name aria-label=Name><button onclick=\"document.title = out.textContent = this.previousSibling.value\">Send</button><p id=out></p>",
        ),
        "/popup" => page("Opener", "<a href=/title/popped target=_blank>Open</a>"),
        "/download" => {
            return format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=greeting.txt\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{GREETING}",
                GREETING.len()
            );
        }
        _ => titled(path.strip_prefix("/title/").unwrap_or("Hearth")),
    };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}

fn titled(title: &str) -> String {
    page(title, &format!("<h1>{title}</h1><p>A paragraph.</p>"))
}

fn page(title: &str, content: &str) -> String {
    format!("<!doctype html><title>{title}</title><link rel=icon href=data:,>{content}")
}
