//! A small web site on loopback, with pages for browsers and URLs through which running code
//! signals its test.
//!
//! | path | page |
//! |---|---|
//! | `/title/NAME` | titled `NAME`, with a heading and a paragraph |
//! | `/form` | a text field, and a button that copies the text into `#out` and the title |
//! | `/button` | a button `Press` that sets the title to `pressed` |
//! | `/popup` | a link that opens `/title/popped` in a new tab |
//! | `/frame` | `/title/inside` in a cross-site frame: its host is `localhost`, while [`Site::url`] has the address |
//! | `/dialog` | a button `Ask` that puts `accepted` or `dismissed` into `#out`, after the user answers `Shall we?` |
//! | `/worker.js` | a service worker that answers `/from-worker` with `the worker` |
//! | `/upload` | a file input `#file`; when the bytes are read, `#out` shows `NAME: N bytes` and the event `read` fires |
//! | `/download` | an attachment `greeting.txt` |
//! | `/downloads/NAME` | a link to `/download/NAME`, which is the attachment `NAME.bin`: [`attachment`] |
//! | `/held/NAME` | the attachment of `/download`, sent once `/signal/NAME` has been requested |
//! | `/late/NAME` | like `/title/NAME`, sent once `/signal/NAME` has been requested. Its own request is the signal `late/NAME` |
//! | `/endless` | an attachment that never ends |
//! | `/hang` | never answered |
//! | `/turn` | a mutex: answered when no other client holds it, and released when the client closes the connection |
//! | `/signal/NAME` | signals the test; the test waits with [`Site::signalled`] |
//!
//! More pages are in `fixture_site.rs`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::fixture_site;

/// The content of `/download`.
pub const GREETING: &str = "good evening\n";

/// Size of `/download/NAME` in bytes.
const ATTACHMENT_BYTES: usize = 3_000_000;

/// Returns the content of `/download/NAME`: the name repeated up to 3 MB.
pub fn attachment(name: &str) -> String {
    name.chars().cycle().take(ATTACHMENT_BYTES).collect()
}

/// A running site; dropping it stops it.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    signals: watch::Receiver<BTreeSet<String>>,
    /// The accept loop, which owns every connection.
    _accepting: JoinSet<()>,
}

impl Site {
    /// Serves on a free loopback port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (sender, signals) = watch::channel(BTreeSet::new());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, sender));
        Self {
            address,
            signals,
            _accepting: accepting,
        }
    }

    /// Returns the full URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until `/signal/NAME` has been requested; panics after 20 s.
    pub async fn signalled(&self, name: &str) {
        let mut signals = self.signals.clone();
        let waiting = signals.wait_for(|names| names.contains(name));
        let outcome = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        outcome
            .unwrap_or_else(|_| panic!("the code sent no signal {name}"))
            .expect("the site is running");
    }

    /// Returns a bash line that sends a signal.
    pub fn bash_signal(&self, name: &str) -> String {
        // curl returns after the response ends, so the test has the signal before the script goes
        // on.
        format!(
            "curl -s -o /dev/null {}",
            self.url(&format!("/signal/{name}"))
        )
    }

    /// Returns a node statement that sends a signal.
    pub fn node_signal(&self, name: &str) -> String {
        format!("await fetch('{}');", self.url(&format!("/signal/{name}")))
    }

    /// Returns a python statement that sends a signal.
    pub fn python_signal(&self, name: &str) -> String {
        format!(
            "__import__('urllib.request').request.urlopen('{}').read()",
            self.url(&format!("/signal/{name}"))
        )
    }

    /// Returns a line of `language` that sends a signal.
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
    let turns = Arc::new(Mutex::new(()));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, signals.clone(), Arc::clone(&turns)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request; ignores clients that disconnect half-way.
async fn serve(stream: TcpStream, signals: watch::Sender<BTreeSet<String>>, turns: Arc<Mutex<()>>) {
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
        // Holds the connection until the browser gives up.
        drop(stream.read_u8().await);
        return;
    }
    if path == "/endless" {
        return send_endless(stream).await;
    }
    if path == "/turn" {
        let _turn = turns.lock().await;
        drop(
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                .await,
        );
        drop(stream.read_u8().await);
        return;
    }
    if path.starts_with("/late/") {
        signals.send_modify(|names| {
            names.insert(path[1..].to_owned());
        });
    }
    if let Some(name) = ["/held/", "/late/"]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix))
    {
        // An error means that the site is stopping, and the connection with it.
        let _ = signals
            .subscribe()
            .wait_for(|names| names.contains(name))
            .await;
    }
    if let Some(name) = path.strip_prefix("/signal/") {
        signals.send_modify(|names| {
            names.insert(name.to_owned());
        });
    }
    let port = stream
        .get_ref()
        .local_addr()
        .map_or(0, |address| address.port());
    let answer = fixture_site::answer(path, &request).unwrap_or_else(|| answer(path, port));
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}

/// Sends an endless attachment until the client disconnects.
async fn send_endless(mut stream: BufReader<TcpStream>) {
    let headers = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
                   Content-Disposition: attachment; filename=endless.bin\r\nConnection: close\r\n\r\n";
    let mut outcome = stream.write_all(headers.as_bytes()).await;
    while outcome.is_ok() {
        outcome = stream.write_all(&[b'x'; 16 * 1024]).await;
    }
}

fn answer(path: &str, port: u16) -> String {
    let path = path.trim_start_matches('/');
    let (first, name) = path.split_once('/').unwrap_or((path, ""));
    let page = match (first, name) {
        ("title" | "late", title) => titled(title),
        ("form", _) => page(
            "Form",
            "<input id=name aria-label=Name><button onclick=\"document.title = out.textContent = this.previousSibling.value\">Send</button><p id=out></p>",
        ),
        ("button", _) => page(
            "Button",
            "<button onclick=\"document.title = 'pressed'\">Press</button>",
        ),
        ("popup", _) => page("Opener", "<a href=/title/popped target=_blank>Open</a>"),
        ("frame", _) => page(
            "Frame",
            &format!("<iframe src=http://localhost:{port}/title/inside></iframe>"),
        ),
        ("dialog", _) => page(
            "Dialog",
            "<button onclick=\"out.textContent = confirm('Shall we?') ? 'accepted' : 'dismissed'\">Ask</button><p id=out></p>",
        ),
        ("upload", _) => page("Upload", UPLOAD),
        ("downloads", name) => page("Downloads", &format!("<a href=/download/{name}>Get</a>")),
        ("worker.js", _) => return response("Content-Type: text/javascript", SERVICE_WORKER),
        ("download", "") | ("held", _) => return attached("greeting.txt", "text/plain", GREETING),
        ("download", name) => {
            return attached(
                &format!("{name}.bin"),
                "application/octet-stream",
                &attachment(name),
            );
        }
        _ => titled("Hearth"),
    };
    response("Content-Type: text/html; charset=utf-8", &page)
}

/// A service worker that answers for `/from-worker`.
const SERVICE_WORKER: &str = "self.addEventListener('install', () => self.skipWaiting());
    self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
    self.addEventListener('fetch', (event) => {
        if (event.request.url.endsWith('/from-worker')) event.respondWith(new Response('the worker'));
    });";

/// A file input that shows how many bytes of the file the page could read.
const UPLOAD: &str = "<input type=file id=file><p id=out></p><script>
    file.onchange = async () => {
        const [it] = file.files;
        out.textContent = `${it.name}: ${(await it.arrayBuffer()).byteLength} bytes`;
        dispatchEvent(new Event('read'));
    };
</script>";

fn attached(name: &str, kind: &str, content: &str) -> String {
    response(
        &format!("Content-Type: {kind}\r\nContent-Disposition: attachment; filename={name}"),
        content,
    )
}

fn response(headers: &str, content: &str) -> String {
    let length = content.len();
    format!(
        "HTTP/1.1 200 OK\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}"
    )
}

fn titled(title: &str) -> String {
    page(title, &format!("<h1>{title}</h1><p>A paragraph.</p>"))
}

fn page(title: &str, content: &str) -> String {
    format!("<!doctype html><title>{title}</title><link rel=icon href=data:,>{content}")
}
