//! Listeners outside every session, which no session may reach. They record what they receive over
//! TCP, UDP, Unix sockets in the file system and abstract Unix sockets.

use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};
use tokio::task::JoinSet;

/// The response to every HTTP request.
pub const ANSWER: &str = "HEARTH-CANARY-SERVICE";

/// Max recorded bytes per message.
const MESSAGE_BYTES: usize = 4096;

/// A set of listeners; dropping it closes them.
#[derive(Debug, Default)]
pub struct ExternalListener {
    received: Arc<Mutex<Vec<String>>>,
    listening: JoinSet<()>,
}

impl ExternalListener {
    /// Returns true if a recorded message matches.
    pub fn has_received(&self, is_it: impl Fn(&str) -> bool) -> bool {
        self.received
            .lock()
            .expect("the lock is not poisoned")
            .iter()
            .any(|message| is_it(message))
    }

    /// Listens on TCP and returns the bound address. Answers every request with [`ANSWER`], except
    /// that `/to/NAME` is redirected to `NAME` at `elsewhere`.
    pub async fn on_tcp(&mut self, address: &str, elsewhere: Option<SocketAddr>) -> SocketAddr {
        let listener = TcpListener::bind(address)
            .await
            .unwrap_or_else(|error| panic!("{address}: {error}"));
        let bound = listener
            .local_addr()
            .expect("a bound socket has an address");
        let received = Arc::clone(&self.received);
        self.listening.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(serve_connection(stream, Arc::clone(&received), elsewhere));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        bound
    }

    /// Listens for UDP datagrams.
    pub async fn on_udp(&mut self, address: SocketAddr) -> SocketAddr {
        let socket = UdpSocket::bind(address)
            .await
            .unwrap_or_else(|error| panic!("{address}: {error}"));
        let bound = socket.local_addr().expect("a bound socket has an address");
        let received = Arc::clone(&self.received);
        self.listening.spawn(async move {
            let mut buffer = [0; MESSAGE_BYTES];
            while let Ok(count) = socket.recv(&mut buffer).await {
                record(&received, &buffer[..count]);
            }
        });
        bound
    }

    /// Listens on a Unix socket that every user may open.
    pub fn on_unix(&mut self, path: &Path) {
        let listener = UnixListener::bind(path).expect("a socket can be created");
        open_to_all(path);
        self.accept_unix(listener);
    }

    /// Listens on an abstract Unix socket.
    pub fn on_abstract(&mut self, name: &str) {
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)
            .expect("the name is short enough");
        let listener =
            std::os::unix::net::UnixListener::bind_addr(&address).expect("the name is free");
        listener.set_nonblocking(true).expect("the socket is open");
        self.accept_unix(UnixListener::from_std(listener).expect("a tokio runtime is running"));
    }

    /// Listens for datagrams on a Unix socket that every user may open.
    pub fn on_unix_datagrams(&mut self, path: &Path) {
        let socket = UnixDatagram::bind(path).expect("a socket can be created");
        open_to_all(path);
        let received = Arc::clone(&self.received);
        self.listening.spawn(async move {
            let mut buffer = [0; MESSAGE_BYTES];
            while let Ok(count) = socket.recv(&mut buffer).await {
                record(&received, &buffer[..count]);
            }
        });
    }

    fn accept_unix(&mut self, listener: UnixListener) {
        let received = Arc::clone(&self.received);
        self.listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve_connection(stream, Arc::clone(&received), None));
            }
        });
    }
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
        .expect("it belongs to this process");
}

fn record(received: &Mutex<Vec<String>>, bytes: &[u8]) {
    received
        .lock()
        .expect("the lock is not poisoned")
        .push(String::from_utf8_lossy(bytes).into_owned());
}

async fn serve_connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    received: Arc<Mutex<Vec<String>>>,
    elsewhere: Option<SocketAddr>,
) {
    let mut message = Vec::new();
    let mut buffer = [0; MESSAGE_BYTES];
    while message.len() < MESSAGE_BYTES && !message.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => message.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    record(&received, &message);
    let request = String::from_utf8_lossy(&message).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let answer = match (path.strip_prefix("/to/"), elsewhere) {
        (Some(name), Some(elsewhere)) => format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/{name}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        _ => format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{ANSWER}",
            ANSWER.len()
        ),
    };
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}
